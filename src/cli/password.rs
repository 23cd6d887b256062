//! Passwords: never an argument, which every user of the host may read in the list of processes.
//! Asked for twice where somebody types, without showing it; the first line of standard input
//! otherwise.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Bytes of a line that are read at most; the server's own bound is far below.
const LINE_MAX: u64 = 4096;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the password cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("the two passwords differ; nothing was changed")]
    Differ,
    #[error("there is no password on standard input; its first line is taken")]
    None,
}

/// Ask for a new password of this user.
///
/// # Errors
/// [`PasswordError`].
pub fn ask(user: &str) -> Result<String, PasswordError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return line(&mut stdin.lock());
    }
    let silent = Silent::new()?;
    let user = super::table::shown(user);
    let first = prompt(&format!("Password of {user}: "))?;
    let second = prompt("The same again: ")?;
    drop(silent);
    if first == second { Ok(first) } else { Err(PasswordError::Differ) }
}

fn prompt(words: &str) -> Result<String, PasswordError> {
    let mut err = std::io::stderr();
    write!(err, "{words}")?;
    err.flush()?;
    let typed = line(&mut std::io::stdin().lock());
    // The line's end was not shown either.
    writeln!(err)?;
    typed
}

fn line(from: &mut impl std::io::BufRead) -> Result<String, PasswordError> {
    let mut text = String::new();
    from.by_ref().take(LINE_MAX).read_line(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() { Err(PasswordError::None) } else { Ok(text.to_owned()) }
}

/// A terminal that does not show what is typed, until this is dropped. A shell puts its terminal
/// right by itself where a signal ends the program in between.
struct Silent(Termios);

impl Silent {
    fn new() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // What was typed ahead was seen.
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        for (input, password) in
            [("correct horse\nmore\n", "correct horse"), ("ends without", "ends without"), (" kept \r\n", " kept ")]
        {
            assert_eq!(line(&mut input.as_bytes()).expect(input), password);
        }
        for empty in ["", "\n", "\r\nx"] {
            assert!(matches!(line(&mut empty.as_bytes()), Err(PasswordError::None)), "{empty:?}");
        }
        let endless = "x".repeat(10_000);
        assert_eq!(line(&mut endless.as_bytes()).expect("a line").len(), 4096);
        assert!(matches!(line(&mut b"\xff\n".as_slice()), Err(PasswordError::Read(_))));
    }
}
