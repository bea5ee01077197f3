use proptest::prelude::*;
use trunnion_core::id::{Id, WorkspaceId};

use super::*;

const SLOTS: Slots = Slots { workers: 4, reserve: 4, per_lane: 3, bytes: 16 * HEAVY };

impl Weighs for () {
    fn bytes(&self) -> usize {
        0
    }
}

/// Every fourth is heavy, more or less.
impl Weighs for u32 {
    fn bytes(&self) -> usize {
        if self.is_multiple_of(4) { (1 + *self as usize % 9) * HEAVY } else { 0 }
    }
}

impl Weighs for (u8, usize) {
    fn bytes(&self) -> usize {
        0
    }
}

impl Weighs for (u8, u8, u64) {
    fn bytes(&self) -> usize {
        0
    }
}

fn scope(number: u8) -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([number; 12])), Environment::Production)
}

fn stand(of: u8, user: u8, lane: u8) -> Stand {
    let lane = if lane == 0 { Lane::Open } else { Lane::Destination(lane.into()) };
    Stand { scope: scope(of), user: UserId(Id::from_bytes([user; 12])), lane }
}

/// Serves one piece at a time; how much time each environment and user was given.
fn serve(fair: &mut Fair<(u8, u8, u64)>, pieces: usize) -> HashMap<(u8, u8), u64> {
    let mut given = HashMap::new();
    for _ in 0..pieces {
        let Some(((scope, user, cost), taken)) = fair.take() else { break };
        *given.entry((scope, user)).or_default() += cost;
        fair.finish(taken, cost);
    }
    given
}

#[test]
fn environments_share_the_time_and_users_share_their_environments() {
    let mut fair = Fair::new(SLOTS);
    // One environment has two users, one of them with long runs; the other has one user.
    for (of, user, cost) in [(1, 1, 50_000), (1, 2, 5_000), (2, 3, 20_000)] {
        for _ in 0..2_000 {
            fair.add(stand(of, user, 0), (of, user, cost));
        }
    }
    let given = serve(&mut fair, 1_500);
    let share = |of, user| given[&(of, user)] as f64 / given.values().sum::<u64>() as f64;
    for (of, user, fair_share) in [(1, 1, 0.25), (1, 2, 0.25), (2, 3, 0.5)] {
        let share = share(of, user);
        assert!((share - fair_share).abs() < 0.06, "{of}/{user}: {share:.3} instead of {fair_share}");
    }
}

#[test]
fn whoever_was_away_begins_at_the_present() {
    let mut fair = Fair::new(SLOTS);
    for _ in 0..500 {
        fair.add(stand(1, 1, 0), (1, 1, 10_000));
    }
    serve(&mut fair, 300);
    for _ in 0..300 {
        fair.add(stand(1, 2, 0), (1, 2, 10_000));
    }
    let given = serve(&mut fair, 100);
    let (one, two) = (given[&(1, 1)], given[&(1, 2)]);
    assert!(one.abs_diff(two) <= 40_000, "{one} {two}: idleness saves nothing up");
}

#[test]
fn production_comes_before_development_but_not_instead_of_it() {
    let mut fair = Fair::new(SLOTS);
    let development = Stand {
        scope: Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Development),
        ..stand(1, 1, 0)
    };
    for _ in 0..1_000 {
        fair.add(stand(1, 2, 0), (1, 2, 10_000));
        fair.add(development, (1, 1, 10_000));
    }
    let given = serve(&mut fair, 500);
    let ratio = given[&(1, 2)] as f64 / given[&(1, 1)] as f64;
    assert!((3.5..4.5).contains(&ratio), "{ratio}");
}

#[test]
fn the_reserve_is_for_those_who_occupy_few() {
    let mut fair = Fair::new(SLOTS);
    for lane in 0..20 {
        fair.add(stand(1, 1, lane), ());
    }
    let long: Vec<_> = std::iter::from_fn(|| fair.take()).collect();
    assert_eq!(long.len(), 4, "all workers, but not the reserve");
    for user in 2..9 {
        fair.add(stand(1, user, 0), ());
    }
    let few: Vec<_> = std::iter::from_fn(|| fair.take()).collect();
    assert_eq!(few.len(), 2, "the half of the reserve that is for users");
    fair.add(stand(2, 1, 0), ());
    assert!(fair.take().is_some(), "the other half is for environments");
    let busy = long.len() + few.len() + 1;
    assert_eq!(fair.busy(), busy);
}

/// A piece that weighs so many times what makes it heavy.
#[derive(Debug, PartialEq)]
struct Heavy(u8, usize);

impl Weighs for Heavy {
    fn bytes(&self) -> usize {
        self.1 * HEAVY
    }
}

#[test]
fn a_user_holds_no_more_than_is_left_and_whoever_holds_nothing_comes_first() {
    let mut fair = Fair::new(SLOTS);
    for lane in 1..5 {
        fair.add(stand(1, 1, lane), Heavy(1, 4));
    }
    let first: Vec<_> = std::iter::from_fn(|| fair.take()).collect();
    assert_eq!(first.len(), 2, "half of it");
    fair.add(stand(1, 2, 1), Heavy(2, 4));
    let (item, _second) = fair.take().expect("what is left is enough for another user");
    assert_eq!(item, Heavy(2, 4));
    fair.add(stand(1, 3, 1), Heavy(3, 4));
    assert!(fair.take().is_none(), "the rest is not");
    fair.add(stand(1, 1, 5), Heavy(1, 0));
    let (light, taken) = fair.take().expect("what is light never waits for room");
    assert_eq!(light, Heavy(1, 0));
    fair.finish(taken, 1);
    let (_, taken) = first.into_iter().next().unwrap();
    fair.finish(taken, 1);
    let (item, _third) = fair.take().expect("there is room again");
    assert_eq!(item, Heavy(3, 4));
    assert!(fair.take().is_none());
}

#[test]
fn what_is_larger_than_everything_comes_as_well() {
    let mut fair = Fair::new(SLOTS);
    fair.add(stand(1, 1, 1), Heavy(1, 1_000));
    fair.add(stand(1, 2, 1), Heavy(2, 1_000));
    fair.add(stand(1, 3, 1), Heavy(3, 1_000));
    fair.add(stand(1, 4, 1), Heavy(4, 1_000));
    let mut under_way: VecDeque<_> = std::iter::from_fn(|| fair.take()).collect();
    assert_eq!(under_way.len(), 3);
    let mut came = Vec::new();
    while let Some((Heavy(user, _), taken)) = under_way.pop_front() {
        came.push(user);
        fair.finish(taken, 1);
        under_way.extend(fair.take());
    }
    assert_eq!(came, [1, 2, 3, 4]);
}

fn waiting<T>(fair: &Fair<T>) -> usize {
    fair.scopes.values().flat_map(|line| line.users.values()).map(|user| user.waiting).sum()
}

/// What happens to a queue.
#[derive(Clone, Debug)]
enum Happening {
    Add(Stand),
    Take,
    Finish(usize, u64),
    Shift(usize, Lane),
}

fn happening() -> impl Strategy<Value = Happening> {
    let stands = (0_u8..3, 0_u8..4, 0_u8..3).prop_map(|(of, user, lane)| stand(of, user, lane));
    prop_oneof![
        4 => stands.clone().prop_map(Happening::Add),
        3 => Just(Happening::Take),
        2 => (0_usize..8, 0_u64..100_000).prop_map(|(which, cost)| Happening::Finish(which, cost)),
        1 => (0_usize..8, stands).prop_map(|(which, to)| Happening::Shift(which, to.lane)),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_bounds_hold_and_an_empty_queue_is_empty(happenings in prop::collection::vec(happening(), 0..300)) {
        let mut fair = Fair::new(SLOTS);
        let (mut added, mut taken, mut under_way) = (0_u32, Vec::new(), Vec::<Taken>::new());
        let finish = |fair: &mut Fair<u32>, under_way: &mut Vec<Taken>, which: usize, cost| {
            if !under_way.is_empty() {
                let which = which % under_way.len();
                fair.finish(under_way.swap_remove(which), cost);
            }
        };
        for happening in happenings {
            match happening {
                Happening::Add(stand) => {
                    fair.add(stand, added);
                    added += 1;
                }
                Happening::Take => {
                    if let Some((item, turn)) = fair.take() {
                        taken.push(item);
                        under_way.push(turn);
                    } else if fair.busy() < SLOTS.workers {
                        // With a worker free, only full lanes wait, and what is heavy.
                        for line in fair.scopes.values().flat_map(|line| line.users.values()) {
                            for lane in line.lanes.values() {
                                let heavy = lane.waiting.front().is_some_and(|item| SLOTS.heaviness(item) > 0);
                                prop_assert!(lane.waiting.is_empty() || lane.in_flight == SLOTS.per_lane || heavy);
                            }
                        }
                    }
                }
                Happening::Finish(which, cost) => finish(&mut fair, &mut under_way, which, cost),
                Happening::Shift(which, lane) => {
                    let count = under_way.len();
                    if count > 0 {
                        fair.shift(&mut under_way[which % count], lane);
                    }
                }
            }
            prop_assert_eq!(fair.busy(), under_way.len());
            prop_assert!(fair.busy() <= SLOTS.workers + SLOTS.reserve);
            prop_assert_eq!(fair.held, under_way.iter().map(|turn| turn.bytes).sum::<usize>());
            prop_assert!(fair.held <= SLOTS.bytes);
            prop_assert_eq!(waiting(&fair) + taken.len(), added as usize);
            let mut lanes: HashMap<(Scope, UserId, Lane), usize> = HashMap::new();
            for turn in &under_way {
                let Stand { scope, user, lane } = turn.stand;
                *lanes.entry((scope, user, lane)).or_default() += 1;
            }
            prop_assert!(lanes.values().all(|count| *count <= SLOTS.per_lane));
        }
        // Whatever happened, everything comes, and nothing is left behind.
        while waiting(&fair) > 0 || !under_way.is_empty() {
            if let Some((item, turn)) = fair.take() {
                taken.push(item);
                under_way.push(turn);
            } else {
                prop_assert!(!under_way.is_empty(), "work waits although nothing is under way");
                finish(&mut fair, &mut under_way, 0, 1);
            }
        }
        taken.sort_unstable();
        prop_assert_eq!(taken, (0..added).collect::<Vec<_>>());
        prop_assert!(fair.scopes.is_empty() && fair.order.is_empty() && fair.outside.is_empty(), "memory is given back");
    }

    #[test]
    fn a_lane_is_first_in_first_out(lanes in prop::collection::vec(0_u8..3, 1..60)) {
        let mut fair = Fair::new(SLOTS);
        for (number, lane) in lanes.iter().enumerate() {
            fair.add(stand(1, 1, *lane), (*lane, number));
        }
        let mut last = HashMap::new();
        while let Some(((lane, number), turn)) = fair.take() {
            prop_assert!(last.insert(lane, number).is_none_or(|before| before < number));
            fair.finish(turn, 1);
        }
        prop_assert_eq!(waiting(&fair), 0);
    }
}
