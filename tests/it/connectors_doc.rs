//! `host/docs/CONNECTORS.md`, followed to the letter: its files written and its commands typed, in an empty folder.

use std::{fmt::Write as _, fs, net::TcpListener, path::Path};

use tokio::process::Command;
use trunnion_tests::host::{self, workspace};

/// Lines that the page promises its connector to stay below.
const MAX_LINES: usize = 150;

/// What the page has a reader do.
enum Step {
    /// Write this file.
    Write { path: String, text: String },
    /// Type these commands.
    Type(String),
}

/// The page's fenced blocks: after a line "`PATH`:" a file, else commands where they are `sh`.
fn steps(page: &str) -> Vec<Step> {
    let (mut steps, mut path) = (Vec::new(), None);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let named = line.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:"));
        if let Some(named) = named {
            path = Some(named.to_owned());
        }
        let Some(language) = line.strip_prefix("```") else { continue };
        let text: String =
            lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        match (path.take(), language) {
            (Some(path), _) => steps.push(Step::Write { path, text }),
            (None, "sh") => steps.push(Step::Type(text)),
            (None, other) => panic!("a block of `{other}` is neither a file nor commands"),
        }
    }
    steps
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The steps as one script; whatever it leaves in the background ends with it.
fn script(steps: &[Step]) -> String {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n".to_owned();
    for step in steps {
        match step {
            Step::Write { path, text } => write!(script, "cat > {path} <<'END OF FILE'\n{text}END OF FILE\n"),
            Step::Type(commands) => write!(script, "{commands}"),
        }
        .unwrap();
    }
    // The page's ports may be taken on this machine.
    script.replace("4110", &free_port().to_string()).replace("8080", &free_port().to_string())
}

#[tokio::test]
async fn following_the_page_literally_in_an_empty_folder_works() {
    let page = fs::read_to_string(workspace().join("host/docs/CONNECTORS.md")).unwrap();
    let steps = steps(&page);
    let connector = steps.iter().find_map(|step| match step {
        Step::Write { path, text } if path == "tideway/src/lib.rs" => Some(text),
        _ => None,
    });
    let lines = connector.unwrap().lines().count();
    assert!(lines < MAX_LINES, "the connector has {lines} lines");

    let folder = tempfile::tempdir().unwrap();
    let output = typed(folder.path(), &script(&steps)).await;
    println!("{output}");
    // Before there were recordings, and with them.
    assert!(output.contains("0 are broken, 4 could not be tried"), "{output}");
    assert!(output.contains("0 are broken, 0 could not be tried"), "{output}");
    for part in
        ["0 faults, 0 warnings", "Port of Hamburg", "\"vessel\": \"Ada\"", "\"id\": \"booking/1", "is active"]
    {
        assert!(output.contains(part), "{part}: {output}");
    }
    for cassette in ["check", "create_booking", "get_booking", "booking_changed"] {
        let path = folder.path().join(format!("tideway/cassettes/{cassette}.json"));
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.contains("{{secret:api_key}}") && !text.contains("harbour-key-4711"),
            "{cassette}: {text}"
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the reader's PATH has `trunnion` in it, beside everything else"
)]
async fn typed(folder: &Path, script: &str) -> String {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(folder);
    command.env("PATH", format!("{}:{path}", binary.parent().unwrap().display()));
    // Where every other guest is compiled: only the connector itself is new.
    command.env("CARGO_TARGET_DIR", host::target_dir()).env_remove("TRUNNION_URL").env_remove("TRUNNION_KEY");
    let output = command.output().await.unwrap();
    let said = format!(
        "{}\n--- standard error ---\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "the page's commands ended with {}:\n{said}", output.status);
    said
}
