//! Names for Rust and for manifests, out of whatever a description calls things.

/// `getContactById`, `get-contact by.id` as `get_contact_by_id`.
pub(super) fn snake(text: &str) -> String {
    let mut name = String::new();
    let mut before_is_lower = false;
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            if letter.is_ascii_uppercase() && before_is_lower {
                name.push('_');
            }
            before_is_lower = !letter.is_ascii_uppercase();
            name.push(letter.to_ascii_lowercase());
        } else {
            before_is_lower = false;
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
        }
    }
    let name = name.trim_end_matches('_').to_owned();
    match name.chars().next() {
        None => "unnamed".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("n{name}"),
        Some(_) => name,
    }
}

/// `get_contact` as `GetContact`.
pub(super) fn camel(snake: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    snake.split('_').map(capital).collect()
}

/// `get_contact` as `Get contact`.
pub(super) fn sentence(snake: &str) -> String {
    let text = snake.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// A field's name in Rust.
pub(super) fn field(name: &str) -> String {
    const KEYWORDS: [&str; 38] = [
        "as", "async", "await", "box", "break", "const", "continue", "dyn", "else", "enum", "extern",
        "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
        "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "true", "type", "unsafe", "use",
        "where", "while",
    ];
    let name = snake(name);
    // These cannot be written as raw names.
    if matches!(name.as_str(), "self" | "super" | "crate") {
        return format!("{name}_");
    }
    if KEYWORDS.contains(&name.as_str()) { format!("r#{name}") } else { name }
}

/// A text as a Rust literal.
pub(super) fn literal(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

/// A text on one line, at most a sentence or two long.
pub(super) fn line(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= MAX_CHARS {
        line
    } else {
        line.chars().take(MAX_CHARS).collect::<String>() + " …"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_style_become_rusts() {
        for (given, expected) in [
            ("getContactById", "get_contact_by_id"),
            ("archive_BasicApi", "archive_basic_api"),
            ("get-contact by.id", "get_contact_by_id"),
            ("2fa", "n2fa"),
            ("X-Request-ID", "x_request_id"),
            ("--", "unnamed"),
        ] {
            assert_eq!(snake(given), expected);
        }
        assert_eq!(camel("get_contact"), "GetContact");
        assert_eq!(sentence("get_contact"), "Get contact");
        assert_eq!(
            (field("type").as_str(), field("self").as_str(), field("idProperty").as_str()),
            ("r#type", "self_", "id_property")
        );
        assert_eq!(literal("a\"b\n"), r#""a\"b\n""#);
        assert_eq!(line("a\n  b"), "a b");
    }
}
