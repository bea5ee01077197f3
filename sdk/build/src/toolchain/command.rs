//! Running programs: their output line by line to the caller, their last words into the error.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

/// How many last lines of a failed program an error repeats.
const LAST_LINES: usize = 5;

/// Runs a program to its end and answers its standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("`{name}` cannot be run: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Runs a program to its end, passing its lines on.
pub(crate) fn run(command: &mut Command, progress: &mut dyn FnMut(&str)) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    // One pipe for both outputs keeps their order and needs one reader.
    let (reader, writer) = std::io::pipe().map_err(|error| format!("no pipe for `{name}`: {error}"))?;
    let other = writer.try_clone().map_err(|error| format!("no pipe for `{name}`: {error}"))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(other)
        .spawn()
        .map_err(|error| format!("`{name}` cannot be run: {error}"))?;
    // Our ends of the pipe's writer live in the command and would keep the reader waiting for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last: Vec<String> = Vec::new();
    for line in BufReader::new(reader).lines() {
        let line = line.map_err(|error| format!("the output of `{name}` cannot be read: {error}"))?;
        progress(&format!("  {line}"));
        last.push(line);
        if last.len() > LAST_LINES {
            last.remove(0);
        }
    }
    let status = child.wait().map_err(|error| format!("`{name}` cannot be waited for: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{status}: {}", last.join(" / "))) }
}
