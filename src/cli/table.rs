//! Tables for people: a header, columns that line up, and nothing in a cell that a terminal would
//! obey. What is in them comes from users and from their programs.

use std::io::Write as _;

use serde_json::Value;

/// Characters that turn the direction of what follows.
const TURNING: [std::ops::RangeInclusive<char>; 3] =
    ['\u{200e}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];

/// Text that can be shown: one line, without orders for the terminal; `-` where there is none.
pub fn shown(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || TURNING.iter().any(|range| range.contains(&letter)) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// A field of the API's answer that is text; empty where it is left out.
pub fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}

/// A moment of the API's answer, to a second.
pub fn when(row: &Value, key: &str) -> String {
    let at = text(row, key);
    match at.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => at,
    }
}

/// An enum's value of the API's answer, as it is written on the command line.
pub fn word(row: &Value, key: &str) -> String {
    text(row, key).to_ascii_lowercase()
}

/// The rows of a list of the API's answer, which leaves out an empty one.
pub fn rows<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer[key].as_array().map_or(&[], Vec::as_slice)
}

/// The table; `nothing` is said where there are no rows.
pub fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, nothing: &str) -> String {
    if rows.is_empty() {
        return format!("{nothing}\n");
    }
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned))
        .chain(rows.into_iter().map(|row| row.map(|cell| shown(&cell))))
        .collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Write to standard output. Whoever reads it may have had enough, which `print!` panics on.
///
/// # Errors
/// The output's.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_line_up_and_nothing_is_obeyed() {
        let cell = |text: &str| text.to_owned();
        let text = table(
            ["NAME", "ROLE", "LAST"],
            vec![[cell("ann"), cell("admin"), cell("")], [cell("b\x1b[31mö\u{202e}\n"), cell("viewer"), cell("x")]],
            "none",
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let at = |line: &str, word: &str| line.chars().count() - line[line.find(word).expect(word)..].chars().count();
        let columns = [at(lines[0], "ROLE"), at(lines[1], "admin"), at(lines[2], "viewer")];
        assert!(columns.iter().all(|column| *column == columns[0]), "{text}");
        assert!(lines[1].ends_with("  -") && !text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
        assert_eq!(table(["NAME"], Vec::new(), "There are none."), "There are none.\n");
    }

    #[test]
    fn moments_are_shown_to_a_second() {
        let row = json!({ "at": "2026-11-25T08:30:13.123456Z", "whole": "2026-11-25T08:30:13Z" });
        assert_eq!((when(&row, "at"), when(&row, "whole")), (text(&row, "whole"), text(&row, "whole")));
        assert_eq!(when(&row, "never"), "");
    }
}
