//! What is wrong with a configuration, for an operator and for a program.

use std::fmt;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator named it, or `command line`.
    pub file: String,
    /// The key, or the name of the argument; `None` when the whole file is concerned.
    pub key: Option<String>,
    /// What was found, and what is accepted instead.
    pub message: String,
}

impl fmt::Display for Problem {
    /// One line: `FILE: "key": sentence`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: {key:?}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Everything that is wrong with a configuration, never empty: in the order of the first file, then
/// of the second, then of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(
    /// The problems, in the order in which they are to be shown.
    pub Vec<Problem>,
);

impl fmt::Display for Problems {
    /// One problem per line, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_shown_one_per_line_with_file_key_and_sentence() {
        let problem = |key: Option<&str>, message: &str| Problem {
            file: "a.json".into(),
            key: key.map(Into::into),
            message: message.into(),
        };
        let problems = Problems(vec![
            problem(Some("t\ntl"), "is odd"),
            problem(None, "is empty"),
        ]);
        assert_eq!(
            problems.to_string(),
            "a.json: \"t\\ntl\": is odd\na.json: is empty"
        );
    }
}
