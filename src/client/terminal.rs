//! Drawing on a terminal, or on what is none.

use std::fmt::Write as _;

/// How it may be drawn.
pub(super) struct Style {
    pub(super) terminal: bool,
    pub(super) colour: bool,
    /// Of the terminal, if there is one; at most [`WIDTH`].
    pub(super) columns: usize,
    pub(super) lines: usize,
}

pub(super) const GOOD: &str = "1;32";
pub(super) const DOUBTFUL: &str = "1;33";
pub(super) const BAD: &str = "1;31";
pub(super) const FAINT: &str = "2";

/// Columns that are used, where the terminal has as many.
pub(super) const WIDTH: usize = 80;

impl Style {
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !code.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Lines of at most the terminal's columns after an indent, broken between words; one line where
    /// there is no terminal, for programs that look for something in it.
    pub(super) fn fold(&self, indent: usize, text: &str) -> Vec<String> {
        if !self.terminal {
            return vec![text.to_owned()];
        }
        let mut lines = vec![String::new()];
        for word in text.split(' ') {
            let Some(line) = lines.last_mut() else { break };
            let used = indent + line.chars().count();
            if line.is_empty() {
                line.push_str(word);
            } else if used + 1 + word.chars().count() <= self.columns {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
        lines
    }

    /// Lines of text that fit the terminal, if there is one; those that are broken go on so many columns from the
    /// left.
    pub(super) fn hanging(&self, indent: usize, text: &str) -> String {
        let mut out = String::new();
        for line in text.lines() {
            let kept = line.len() - line.trim_start().len();
            let (space, words) = line.split_at(kept);
            // What is broken off is indented more than what stays.
            let room = Style {
                columns: self.columns.saturating_sub(kept),
                ..*self
            };
            let mut parts = room.fold(0, words).into_iter();
            let first = parts.next().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{space}{}", first.trim_end());
            let rest = parts.collect::<Vec<_>>().join(" ");
            if !rest.is_empty() {
                for part in self.fold(indent, &rest) {
                    let _ = writeln!(out, "{:indent$}{part}", "");
                }
            }
        }
        out
    }

    /// Text for the whole terminal, over what was there, so that nothing flickers. What does not
    /// fit is cut off: a terminal that wraps or scrolls would show the end, and the beginning says
    /// whether this node may take over.
    pub(super) fn frame(&self, text: &str) -> String {
        let all = text.lines().count();
        let shown = if all > self.lines {
            self.lines.saturating_sub(1)
        } else {
            all
        };
        // From the top; each line is erased first.
        let mut frame = "\x1b[H".to_owned();
        for (number, line) in text.lines().take(shown).enumerate() {
            let newline = if number > 0 { "\n" } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(frame, "{newline}\x1b[K{}", cut(line, self.columns));
        }
        if all > shown {
            let rest = format!("… {} more lines", all - shown);
            let _ = write!(frame, "\n\x1b[K{}", self.paint(FAINT, &rest));
        } else if shown < self.lines {
            frame += "\n\x1b[J";
        }
        frame
    }
}

/// The beginning of a painted line, in so many columns, with everything that paints.
fn cut(line: &str, columns: usize) -> String {
    let (mut used, mut painting) = (0, false);
    let fits = |c: &char| {
        painting |= *c == '\x1b';
        if painting {
            painting = *c != 'm';
            return true;
        }
        used += 1;
        used <= columns
    };
    line.chars().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Style = Style {
        terminal: true,
        colour: false,
        columns: WIDTH,
        lines: usize::MAX,
    };

    #[test]
    fn a_frame_has_the_terminals_lines_and_begins_with_the_first() {
        let low = |lines| Style { lines, ..TERMINAL };
        assert_eq!(
            low(4).frame("a\n\nb\n"),
            "\x1b[H\x1b[Ka\n\x1b[K\n\x1b[Kb\n\x1b[J"
        );
        assert_eq!(low(3).frame("a\n\nb\n"), "\x1b[H\x1b[Ka\n\x1b[K\n\x1b[Kb");
        assert_eq!(
            low(2).frame("a\n\nb\n"),
            "\x1b[H\x1b[Ka\n\x1b[K… 2 more lines"
        );
    }

    #[test]
    fn a_line_that_is_broken_goes_on_below_its_value() {
        let narrow = Style {
            columns: 20,
            ..TERMINAL
        };
        let text = "all is well\n  group  [ff15::1]:6400, on eth0, hop limit 1\n";
        let folded = "all is well\n  group\n         [ff15::1]:6400,\n         on eth0,\n         hop limit 1\n";
        assert_eq!(narrow.hanging(9, text), folded);
        let piped = Style {
            terminal: false,
            ..narrow
        };
        assert_eq!(piped.hanging(9, text), text);
    }

    #[test]
    fn a_painted_line_is_cut_to_the_terminals_columns() {
        for (line, expected) in [
            ("ab\x1b[1;31mcde\x1b[0mf", "ab\x1b[1;31mc\x1b[0m"),
            ("● ä", "● ä"),
            ("1234", "123"),
        ] {
            assert_eq!(cut(line, 3), expected);
        }
    }
}
