//! The file of the group's keys.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::Config;
use crate::seal::{Keys, Policy, Settings};

/// Where the keys are if no other place is named.
const FILE: &str = "/etc/joold/keys";
/// Their name in the folder of the service's credentials, systemd.exec(5).
const CREDENTIAL: &str = "joold.keys";
/// Bytes that a file of keys may have.
const MAX_SIZE: usize = 64 << 10;
/// What a file of keys allows nobody: others anything, and its group to write.
const FORBIDDEN: u32 = 0o027;

/// What is to be sealed, and with which keys. The file is not looked at if nothing is.
///
/// # Errors
///
/// Everything that is wrong with the file of the keys, a line each, without anything secret.
pub fn load(config: &Config) -> Result<Settings, String> {
    if config.seal == Policy::Off {
        return Ok(Settings::default());
    }
    let file = config.key_file.clone().unwrap_or_else(usual);
    let name = file.display();
    let bytes = read(&file).map_err(|reason| format!("{name}: {reason}"))?;
    let keys = Keys::parse(&bytes).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{name}: {problem}"));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(Settings {
        policy: config.seal,
        keys: Some(keys),
    })
}

fn usual() -> PathBuf {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let credential = credentials.map(|folder| Path::new(&folder).join(CREDENTIAL));
    let credential = credential.filter(|file| file.exists());
    credential.unwrap_or_else(|| PathBuf::from(FILE))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; `jooldctl key generate` makes a key, see joold(8)".to_owned()
        }
        _ => format!(
            "the file cannot be read ({error}); joold reads it as the user joold, so root owns it, its group \
             is joold, and its mode 0640"
        ),
    };
    // To open a pipe would wait for its writer, and a reload must not wait.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err("this is not a regular file; name a file with keys".to_owned());
    }
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & FORBIDDEN != 0 {
        return Err(format!(
            "others may read or change the keys (mode {:04o}); set it to 0640, and make a new key if \
             somebody may have read this one",
            mode & 0o7777
        ));
    }
    // The memory is not moved while it is filled, which would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SIZE + 1));
    let limit = u64::try_from(MAX_SIZE).unwrap_or(u64::MAX) + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_SIZE {
        return Err(format!("the file is larger than {MAX_SIZE} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    const KEY: &str = "1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= send\n";

    /// A file of keys, removed afterwards.
    struct Keyed(Config);

    impl Keyed {
        fn new(test: &str, content: &[u8], mode: u32) -> Self {
            let name = format!("joold-keys-{test}-{}", std::process::id());
            let file = std::env::temp_dir().join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            Self(Config {
                seal: Policy::Require,
                key_file: Some(file),
                ..Config::default()
            })
        }
    }

    impl Drop for Keyed {
        fn drop(&mut self) {
            let _ = fs::remove_file(self.0.key_file.as_ref().unwrap());
        }
    }

    #[test]
    fn keys_that_nobody_else_can_read_are_loaded() {
        for mode in [0o640, 0o600, 0o400] {
            let keyed = Keyed::new("good", KEY.as_bytes(), mode);
            let settings = load(&keyed.0).unwrap();
            assert!(settings.keys.is_some());
            assert_eq!(settings.policy, Policy::Require);
        }
    }

    #[test]
    fn keys_that_others_can_read_or_change_are_refused() {
        for mode in [0o644, 0o641, 0o660, 0o642] {
            let keyed = Keyed::new("open", KEY.as_bytes(), mode);
            let refused = load(&keyed.0).unwrap_err();
            assert!(refused.contains(&format!("(mode {mode:04o})")), "{refused}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_file_and_the_line() {
        let keyed = Keyed::new("wrong", b"1 abc\n2 def\n", 0o600);
        let refused = load(&keyed.0).unwrap_err();
        assert_eq!(refused.lines().count(), 2, "{refused}");
        assert!(
            refused.lines().all(|line| line.starts_with("/")),
            "{refused}"
        );
        assert!(!refused.contains("abc"), "{refused}");
        let keyed = Keyed::new("large", &vec![b'\n'; MAX_SIZE + 1], 0o600);
        assert!(load(&keyed.0).unwrap_err().contains("larger than"));
        let missing = Config {
            seal: Policy::Accept,
            key_file: Some(PathBuf::from("/nonexistent/keys")),
            ..Config::default()
        };
        assert!(
            load(&missing)
                .unwrap_err()
                .contains("jooldctl key generate")
        );
        let off = Config {
            seal: Policy::Off,
            ..missing
        };
        assert_eq!(load(&off), Ok(Settings::default()));
    }
}
