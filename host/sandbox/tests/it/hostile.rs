//! Nothing a guest does costs more than its own call.

use trunnion_core::call::CallError;
use trunnion_sandbox::{Freshness, LogLevel, Options};

use crate::support::{Guest, SOON, answering, bench, call, call_of, options, outcome};

/// Runs a guest's action and says what became of it; the sandbox must then still serve others.
async fn trapped(guest: Guest, options: Options) -> String {
    let bench = bench(options);
    let connector = bench.load(&guest).await.unwrap();
    let failed = tokio::time::timeout(SOON, connector.run_action(call(), "{}")).await.unwrap().unwrap_err();
    let good = bench.load(&answering("")).await.unwrap();
    assert_eq!(good.run_action(call(), "{}").await.unwrap().value, r#"{"ok":true}"#);
    match failed.error {
        CallError::Trapped { message } => message,
        other => panic!("not a trap: {other:?}"),
    }
}

#[tokio::test]
async fn an_infinite_loop_is_stopped_by_the_cpu_budget() {
    let message = trapped(Guest::running("(loop (br 0)) unreachable"), options()).await;
    assert!(message.contains("50 ms of CPU time (`cpu_budget_ms`)"), "{message}");
}

#[tokio::test]
async fn an_infinite_loop_lets_others_run_on_the_same_thread() {
    let bench = bench(Options { cpu_budget_ms: 300, ..options() });
    let looping = bench.load(&Guest::running("(loop (br 0)) unreachable")).await.unwrap();
    let good = bench.load(&answering("")).await.unwrap();
    let slow = looping.run_action(call(), "{}");
    tokio::pin!(slow);
    // One thread: the good one can end first only if the looping one yields.
    tokio::select! {
        biased;
        _ = &mut slow => panic!("the loop ended before the other call"),
        answer = good.run_action(call(), "{}") => assert_eq!(answer.unwrap().value, r#"{"ok":true}"#),
    }
}

#[tokio::test]
async fn memory_is_bounded_and_the_message_says_so() {
    let message = trapped(
        Guest::running("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable"),
        options(),
    )
    .await;
    assert!(message.contains("4194304 bytes of memory (`max_memory_bytes`)"), "{message}");
}

#[tokio::test]
async fn unbounded_recursion_ends_the_call_only() {
    let mut guest = Guest::running("(call $down) unreachable");
    guest.extra = "(func $down (call $down))".to_owned();
    let message = trapped(guest, options()).await;
    assert!(message.contains("call stack exhausted"), "{message}");
}

#[tokio::test]
async fn a_trap_carries_the_guests_last_words() {
    let message = trapped(
        Guest::running("(call $log.write (i32.const 3) (i32.const 512) (i32.const 26)) unreachable")
            .data(512, *b"panicked at src/lib.rs:7:9"),
        options(),
    )
    .await;
    assert!(message.contains("unreachable"), "{message}");
    assert!(message.contains("panicked at src/lib.rs:7:9"), "{message}");
}

#[tokio::test]
async fn an_output_beyond_the_limit_is_refused() {
    let guest = Guest::running("(i32.const 128)").data(128, outcome(65_536, 3 << 20));
    let message = trapped(Guest { pages: 60, ..guest }, options()).await;
    assert!(message.contains("fuel"), "{message}");
}

#[tokio::test]
async fn a_text_that_is_not_utf8_or_not_there_is_refused() {
    let not_utf8 = Guest::running("(i32.const 128)").data(128, outcome(256, 2)).data(256, [0xff, 0xfe]);
    let message = trapped(not_utf8, options()).await;
    assert!(message.contains("utf-8"), "{message}");
    let outside = Guest::running("(i32.const 128)").data(128, outcome(u32::MAX - 8, 4_096));
    let message = trapped(outside, options()).await;
    assert!(message.contains("out of bounds"), "{message}");
}

#[tokio::test]
async fn a_flood_of_host_calls_is_stopped() {
    let message =
        trapped(Guest::running("(loop (drop (call $clock.now)) (br 0)) unreachable"), options()).await;
    assert!(message.contains("more than 100 host calls"), "{message}");
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_the_last_error_survives() {
    let bench =
        bench(Options { max_log_lines: 3, max_log_line_bytes: 5, max_host_calls: 1_000, ..options() });
    let guest = Guest::running(
        "(local $n i32)
         (loop (call $log.write (i32.const 1) (i32.const 512) (i32.const 10))
               (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 500))))
         (call $log.write (i32.const 3) (i32.const 522) (i32.const 5)) unreachable",
    )
    .data(512, *b"chatter...panic");
    let failed = bench.load(&guest).await.unwrap().run_action(call(), "{}").await.unwrap_err();
    let lines: Vec<_> = failed.log.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(
        lines,
        [
            (LogLevel::Info, "chatt"),
            (LogLevel::Info, "chatt"),
            (LogLevel::Error, "panic"),
            (LogLevel::Warn, "498 more lines were dropped (`max_log_lines`)"),
        ]
    );
}

#[tokio::test]
async fn too_much_chance_at_once_is_refused() {
    let message = trapped(
        Guest::running("(call $random.bytes (i32.const 2000) (i32.const 512)) unreachable"),
        options(),
    )
    .await;
    assert!(message.contains("2000 random bytes"), "{message}");
}

#[tokio::test]
async fn calls_of_one_connector_wait_for_each_other_and_leave_room_for_others() {
    let bench = bench(Options { cpu_budget_ms: 10_000, admission_wait_ms: 50, pool_size: 3, ..options() });
    let looping = bench.load(&Guest::running("(loop (br 0)) unreachable")).await.unwrap();
    let good = bench.load(&answering("")).await.unwrap();
    let (first, second) = (looping.run_action(call(), "{}"), looping.run_action(call(), "{}"));
    let third = async {
        // The two above hold both places of their connector.
        let refused = looping.run_action(call(), "{}").await.unwrap_err();
        assert!(
            matches!(&refused.error, CallError::Unavailable { message } if message.contains("max_calls_per_connector")),
            "{refused:?}"
        );
        good.run_action(call(), "{}").await.unwrap().value
    };
    tokio::select! {
        biased;
        _ = async { tokio::join!(first, second) } => panic!("the loops ended first"),
        value = third => assert_eq!(value, r#"{"ok":true}"#),
    }
}

/// A guest that counts its calls in its memory.
fn counting() -> Guest {
    Guest::running(
        "(i32.store8 (i32.const 256) (i32.add (i32.load8_u (i32.const 256)) (i32.const 1))) (i32.const 128)",
    )
    .data(128, outcome(256, 1))
    .data(256, *b"0")
}

#[tokio::test]
async fn a_warm_instance_serves_its_own_connection_only() {
    let bench = bench(options());
    let connector = bench.load(&counting()).await.unwrap();
    let warm = |number| trunnion_sandbox::Call { instance: Freshness::MayBeWarm, ..call_of(number) };
    for (call, expected, why) in [
        (warm(1), "1", "first"),
        (warm(1), "2", "same owner"),
        (warm(2), "1", "another connection"),
        (call_of(1), "1", "asked for a fresh one"),
        (warm(1), "3", "same owner again"),
        (trunnion_sandbox::Call { user: None, ..warm(1) }, "1", "the ISV's own connection"),
        (trunnion_sandbox::Call { user: None, ..warm(1) }, "1", "the ISV's own connection again"),
    ] {
        assert_eq!(connector.run_action(call, "{}").await.unwrap().value, expected, "{why}");
    }
    assert_eq!(bench.sandbox.warm_instances(), 2);
    bench.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(connector.run_action(warm(1), "{}").await.unwrap().value, "1", "too old");
}

#[tokio::test]
async fn a_component_loaded_again_does_not_get_instances_of_its_earlier_load() {
    let bench = bench(options());
    let warm = || trunnion_sandbox::Call { instance: Freshness::MayBeWarm, ..call() };
    let earlier = bench.load(&counting()).await.unwrap();
    assert_eq!(earlier.run_action(warm(), "{}").await.unwrap().value, "1");
    let later = bench.load(&counting()).await.unwrap();
    assert_eq!(later.digest(), earlier.digest());
    assert_eq!(later.run_action(warm(), "{}").await.unwrap().value, "1", "an instance of its own");
    assert_eq!(earlier.run_action(warm(), "{}").await.unwrap().value, "2", "calls in flight keep theirs");
}

#[tokio::test]
async fn warm_instances_are_bounded_in_number_and_calls() {
    let mut options = options();
    options.warm.max_instances = 2;
    options.warm.max_calls = 3;
    let bench = bench(options);
    let connector = bench.load(&counting()).await.unwrap();
    let warm = |number| trunnion_sandbox::Call { instance: Freshness::MayBeWarm, ..call_of(number) };
    for expected in ["1", "2", "3", "1"] {
        assert_eq!(connector.run_action(warm(1), "{}").await.unwrap().value, expected);
    }
    for number in 2..=5 {
        connector.run_action(warm(number), "{}").await.unwrap();
    }
    assert_eq!(bench.sandbox.warm_instances(), 2);
    assert_eq!(connector.run_action(warm(1), "{}").await.unwrap().value, "1", "the oldest was dropped");
}

#[tokio::test]
async fn an_instance_that_trapped_is_never_used_again() {
    let bench = bench(options());
    let guest = Guest::running(
        "(i32.store8 (i32.const 256) (i32.add (i32.load8_u (i32.const 256)) (i32.const 1)))
         (if (i32.eq (i32.load8_u (i32.const 256)) (i32.const 50)) (then unreachable))
         (i32.const 128)",
    )
    .data(128, outcome(256, 1))
    .data(256, *b"0");
    let connector = bench.load(&guest).await.unwrap();
    let warm = || trunnion_sandbox::Call { instance: Freshness::MayBeWarm, ..call() };
    assert_eq!(connector.run_action(warm(), "{}").await.unwrap().value, "1");
    connector.run_action(warm(), "{}").await.unwrap_err();
    assert_eq!(bench.sandbox.warm_instances(), 0);
    assert_eq!(connector.run_action(warm(), "{}").await.unwrap().value, "1");
}

#[tokio::test]
async fn a_cancelled_call_gives_everything_back() {
    let bench =
        bench(Options { cpu_budget_ms: 10_000, pool_size: 1, max_calls_per_connector: 1, ..options() });
    let looping = bench.load(&Guest::running("(loop (br 0)) unreachable")).await.unwrap();
    for _ in 0..8 {
        let mut cancelled = Box::pin(looping.run_action(call(), "{}"));
        tokio::select! {
            biased;
            ended = &mut cancelled => panic!("the loop ended: {ended:?}"),
            () = std::future::ready(()) => {}
        }
    }
    let good = bench.load(&answering("")).await.unwrap();
    assert_eq!(good.run_action(call(), "{}").await.unwrap().value, r#"{"ok":true}"#);
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_one_that_passed_begins_none() {
    let bench = bench(Options { cpu_budget_ms: 10_000, ..options() });
    let looping = bench.load(&Guest::running("(loop (br 0)) unreachable")).await.unwrap();
    let now = trunnion_core::clock::Clock::now(&*bench.clock);
    let soon =
        trunnion_sandbox::Call { deadline: Some(now + std::time::Duration::from_millis(30)), ..call() };
    let failed = looping.run_action(soon, "{}").await.unwrap_err();
    assert!(
        matches!(&failed.error, CallError::Trapped { message } if message.contains("30 ms")),
        "{failed:?}"
    );
    let passed = trunnion_sandbox::Call { deadline: Some(now), ..call() };
    let failed = looping.run_action(passed, "{}").await.unwrap_err();
    assert!(matches!(failed.error, CallError::Unavailable { .. }), "{failed:?}");
}
