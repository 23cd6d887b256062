//! Keys of a PC keyboard by name: the one table from what people write to the codes that Linux's
//! input layer gives the keys (linux/input-event-codes.h), which is what the hypervisor presses.

/// Keys that may be pressed together.
pub const KEYS_MAX: usize = 16;

/// Name, in lower case, and code. Several names may press one key; the first is the one told.
const KEYS: &[(&str, u16)] = &[
    ("esc", 1),
    ("escape", 1),
    ("1", 2),
    ("2", 3),
    ("3", 4),
    ("4", 5),
    ("5", 6),
    ("6", 7),
    ("7", 8),
    ("8", 9),
    ("9", 10),
    ("0", 11),
    ("minus", 12),
    ("-", 12),
    ("equal", 13),
    ("=", 13),
    ("backspace", 14),
    ("tab", 15),
    ("q", 16),
    ("w", 17),
    ("e", 18),
    ("r", 19),
    ("t", 20),
    ("y", 21),
    ("u", 22),
    ("i", 23),
    ("o", 24),
    ("p", 25),
    ("leftbrace", 26),
    ("[", 26),
    ("rightbrace", 27),
    ("]", 27),
    ("enter", 28),
    ("return", 28),
    ("ctrl", 29),
    ("leftctrl", 29),
    ("control", 29),
    ("a", 30),
    ("s", 31),
    ("d", 32),
    ("f", 33),
    ("g", 34),
    ("h", 35),
    ("j", 36),
    ("k", 37),
    ("l", 38),
    ("semicolon", 39),
    (";", 39),
    ("apostrophe", 40),
    ("'", 40),
    ("grave", 41),
    ("`", 41),
    ("shift", 42),
    ("leftshift", 42),
    ("backslash", 43),
    ("\\", 43),
    ("z", 44),
    ("x", 45),
    ("c", 46),
    ("v", 47),
    ("b", 48),
    ("n", 49),
    ("m", 50),
    ("comma", 51),
    (",", 51),
    ("dot", 52),
    (".", 52),
    ("slash", 53),
    ("/", 53),
    ("rightshift", 54),
    ("alt", 56),
    ("leftalt", 56),
    ("space", 57),
    ("capslock", 58),
    ("f1", 59),
    ("f2", 60),
    ("f3", 61),
    ("f4", 62),
    ("f5", 63),
    ("f6", 64),
    ("f7", 65),
    ("f8", 66),
    ("f9", 67),
    ("f10", 68),
    ("numlock", 69),
    ("scrolllock", 70),
    ("less", 86),
    ("<", 86),
    ("f11", 87),
    ("f12", 88),
    ("rightctrl", 97),
    ("sysrq", 99),
    ("print", 99),
    ("rightalt", 100),
    ("altgr", 100),
    ("home", 102),
    ("up", 103),
    ("pageup", 104),
    ("left", 105),
    ("right", 106),
    ("end", 107),
    ("down", 108),
    ("pagedown", 109),
    ("insert", 110),
    ("delete", 111),
    ("del", 111),
    ("pause", 119),
    ("meta", 125),
    ("leftmeta", 125),
    ("super", 125),
    ("win", 125),
    ("rightmeta", 126),
    ("menu", 127),
];

/// The code of the key of this name, whatever the case.
#[must_use]
pub fn code(name: &str) -> Option<u16> {
    KEYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, code)| *code)
}

/// Every name, for the one who wrote another.
#[must_use]
pub fn names() -> String {
    KEYS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_there_once_in_lower_case_and_found_in_any() {
        let mut seen = HashSet::new();
        for (name, expected) in KEYS {
            assert!(seen.insert(name), "{name} is there twice");
            assert_eq!(*name, name.to_lowercase());
            assert_eq!(code(name), Some(*expected));
            assert_eq!(code(&name.to_uppercase()), Some(*expected));
        }
        assert_eq!(code("any"), None);
        assert_eq!(code(""), None);
    }

    #[test]
    fn what_the_contract_promises_is_there() {
        let promised = ["ctrl", "alt", "shift", "meta", "delete", "enter", "esc", "tab", "backspace", "sysrq", "up"];
        let letters = ('a'..='z').chain('0'..='9').map(String::from);
        let functions = (1..=12).map(|number| format!("f{number}"));
        let mut codes = HashSet::new();
        for name in promised.map(str::to_owned).into_iter().chain(letters).chain(functions) {
            let found = code(&name).unwrap_or_else(|| panic!("no key is named {name}"));
            assert!(codes.insert(found), "{name} presses another's key");
        }
        // Those by which an administrator notices a wrong table at once.
        assert_eq!(
            ["ctrl", "alt", "delete", "f12", "z"].map(code),
            [Some(29), Some(56), Some(111), Some(88), Some(44)]
        );
    }
}
