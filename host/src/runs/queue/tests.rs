use trunnion_core::{
    clock::ManualClock,
    id::{DeliveryId, WorkspaceId},
    scope::Environment,
};

use super::*;

fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([0; 12])), Environment::Development)
}

fn user(name: u8) -> UserId {
    UserId(Id::from_bytes([name; 12]))
}

fn due(name: u8, run: u8) -> Work {
    Work::RunDue { scope: scope(), id: RunId(Id::from_bytes([run; 12])), user: user(name) }
}

fn queue(clock: &Arc<ManualClock>, workers: usize) -> Arc<Queue> {
    let load = |count| Load { count, bytes: 1 << 20 };
    let limits = Limits {
        workers,
        per_connection: 2,
        waiting: Bounds { all: load(12), per_user: load(3) },
        kept_bytes: 1 << 20,
        working_bytes: 1 << 20,
    };
    Arc::new(Queue::new(Arc::<ManualClock>::clone(clock), "here".to_owned(), limits))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::ZERO))
}

async fn next_user(queue: &Arc<Queue>) -> u8 {
    let (work, _) = queue.next().await;
    work.owner().1.as_bytes()[0]
}

#[tokio::test]
async fn users_take_turns_whatever_one_of_them_sends() {
    let queue = queue(&clock(), 8);
    for run in 0..3 {
        queue.push(due(1, run));
    }
    queue.push(due(2, 9));
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(next_user(&queue).await);
    }
    assert_eq!(order, [1, 2, 1, 1]);
    assert_eq!((queue.waiting().count, queue.busy()), (0, 0));
}

#[tokio::test]
async fn work_for_later_comes_when_its_time_has() {
    let clock = clock();
    let queue = queue(&clock, 8);
    queue.push_at(Timestamp::from_millis(2_000), due(2, 0));
    queue.push_at(Timestamp::from_millis(1_000), due(1, 0));
    clock.advance(Duration::from_secs(1));
    assert_eq!(next_user(&queue).await, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(next_user(&queue).await, 2);
}

#[tokio::test]
async fn a_user_whose_work_takes_ten_times_as_long_gets_a_tenth_of_the_turns() {
    let clock = clock();
    let queue = queue(&clock, 1);
    for run in 0..100 {
        queue.push(due(1, run));
        queue.push(due(2, run));
    }
    let mut turns = [0_u32; 3];
    for _ in 0..110 {
        let (work, turn) = queue.next().await;
        let name = work.owner().1.as_bytes()[0];
        turns[usize::from(name)] += 1;
        clock.advance(Duration::from_millis(if name == 1 { 1_000 } else { 100 }));
        drop(turn);
    }
    assert!(turns[2] >= 95 && turns[1] >= 8, "{turns:?}");
}

#[tokio::test]
async fn long_calls_of_one_user_leave_room_for_another() {
    let queue = queue(&clock(), 4);
    for run in 0..100 {
        queue.push_to(Lane::Destination(u32::from(run) / 2), due(1, run));
    }
    let mut long = Vec::new();
    for _ in 0..4 {
        long.push(queue.next().await);
    }
    queue.push(due(2, 0));
    let (work, _turn) = queue.next().await;
    assert_eq!(
        work.owner().1,
        user(2),
        "every worker is occupied, and the reserve is not for who occupies them"
    );
}

#[tokio::test]
async fn a_lane_with_as_much_under_way_as_may_waits_and_the_users_other_work_goes_on() {
    let queue = queue(&clock(), 8);
    for run in 0..5 {
        queue.push_to(Lane::Destination(1), due(1, run));
    }
    queue.push_to(Lane::Destination(2), due(1, 9));
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(queue.next().await);
    }
    let runs: Vec<u8> = taken
        .iter()
        .map(|(work, _)| match work {
            Work::RunDue { id, .. } => id.0.as_bytes()[0],
            _ => u8::MAX,
        })
        .collect();
    assert_eq!(runs, [0, 9, 1]);
    assert!(futures_util::FutureExt::now_or_never(queue.next()).is_none(), "the rest waits");
    let (_, mut other) = taken.remove(1);
    assert!(!other.enters(Lane::Destination(1)), "what comes from another lane waits as well");
    taken.remove(0);
    assert!(other.enters(Lane::Destination(1)));
}

#[test]
fn without_workers_nothing_is_begun() {
    let queue = queue(&clock(), 0);
    queue.push(due(1, 0));
    assert!(futures_util::FutureExt::now_or_never(queue.next()).is_none());
    assert_eq!((queue.waiting().count, queue.busy()), (1, 0));
}

#[test]
fn a_users_flood_is_refused_for_that_user_with_a_time_to_return() {
    let queue = queue(&clock(), 8);
    for run in 0..3 {
        assert!(queue.admit_user(&scope(), user(1)).is_ok());
        queue.push(due(1, run));
    }
    assert!(matches!(queue.admit_user(&scope(), user(1)), Err(Error::UserBusy { .. })));
    assert!(queue.admit_user(&scope(), user(2)).is_ok());
    assert!(queue.admit().is_ok());
}

#[test]
fn too_much_waiting_work_is_refused_with_a_time_to_return() {
    let queue = queue(&clock(), 8);
    for run in 0..12 {
        assert!(queue.admit().is_ok());
        queue.push(due(run, run));
    }
    assert!(matches!(queue.admit(), Err(Error::Busy { .. })));
}

#[test]
fn what_is_in_hand_is_in_one_pair_of_hands() {
    let queue = queue(&clock(), 8);
    let run = RunId(Id::from_bytes([7; 12]));
    queue.cancel(run);
    let hold = queue.hold(run.0).unwrap();
    assert!(!queue.is_cancelled(run), "nobody had it when it was cancelled");
    queue.cancel(run);
    assert!(queue.is_cancelled(run));
    assert!(queue.hold(run.0).is_none());
    assert!(queue.hold(DeliveryId(Id::from_bytes([8; 12])).0).is_some());
    drop(hold);
    assert!(!queue.is_cancelled(run));
    assert!(queue.hold(run.0).is_some());
}
