//! Every error code that the host can answer has a page that says what to do, and no page is about nothing.

#[cfg(test)]
mod error_pages {
    use std::{collections::BTreeSet, fs, path::Path};

    /// What stands right before a code in the source.
    const BEFORE: [&str; 7] = [
        "Error::not_found(\"",
        "Error::invalid(\"",
        "Error::conflict(\"",
        "code: \"",
        "} => \"",
        "}) => \"",
        "(_) => \"",
    ];

    fn codes_in(source: &str, codes: &mut BTreeSet<String>) {
        let compact: String = source.split_whitespace().collect::<Vec<_>>().join(" ").replace("( \"", "(\"");
        let mut found = |start: usize| {
            if let Some(code) = compact.get(start..).and_then(|rest| rest.split('"').next())
                && code.contains(|c: char| c.is_ascii_lowercase())
                && code.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            {
                codes.insert(code.to_owned());
            }
        };
        for before in BEFORE {
            compact.match_indices(before).for_each(|(at, _)| found(at + before.len()));
        }
        for (at, _) in compact.match_indices("Failure::new(") {
            let end = compact.get(at..).and_then(|rest| rest.find('"')).map(|quote| at + quote + 1);
            end.into_iter().for_each(&mut found);
        }
    }

    fn walk(directory: &Path, codes: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, codes);
            } else if path.ends_with("error.rs") || fs::read_to_string(&path).unwrap().contains("rror") {
                codes_in(&fs::read_to_string(&path).unwrap(), codes);
            }
        }
    }

    #[test]
    fn codes_and_pages_agree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut codes = BTreeSet::new();
        walk(&root.join("src"), &mut codes);
        // Run statuses share the form of codes in the source.
        for status in [
            "queued",
            "running",
            "succeeded",
            "filtered",
            "failed",
            "cancelled",
            "waiting",
            "null",
            "text",
            "dev",
            "prod",
            "op",
        ] {
            codes.remove(status);
        }
        let pages: BTreeSet<_> = fs::read_dir(root.join("docs/errors"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        assert!(codes.len() > 30, "the scan finds codes: {codes:?}");
        let without_page: Vec<_> = codes.difference(&pages).collect();
        let without_code: Vec<_> = pages.difference(&codes).collect();
        assert!(without_page.is_empty(), "write host/docs/errors/<code>.md for {without_page:?}");
        assert!(without_code.is_empty(), "no code uses these pages: {without_code:?}");
    }
}
