//! The user's cache directory: what set-up builds once is kept there, one folder per version, outside any clone.
//!
//! An entry is filled in a temporary folder beside it and renamed when complete, so an entry that exists is whole,
//! however a fill ended. A file lock keeps two set-ups from filling the same entry; the system releases it with the
//! process that held it, so a lock is never stale, and a temporary folder found under the lock belongs to nobody.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Result};

#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// Where a fill puts things: the entry's content into `content` (which must know itself by the name `destination`,
/// if it knows itself at all), anything else into `scratch`.
pub struct Filling {
    pub content: PathBuf,
    pub destination: PathBuf,
    pub scratch: PathBuf,
}

impl Cache {
    pub fn of_user() -> Result<Self> {
        let directory = user_directory(std::env::var_os("XDG_CACHE_HOME"), std::env::home_dir())?;
        Ok(Self { directory })
    }

    /// A folder that another tool fills and locks by itself.
    pub fn place(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The entry's folder, filled first if it does not exist yet.
    pub fn entry(&self, name: &str, fill: impl FnOnce(&Filling) -> Result<()>) -> Result<PathBuf> {
        let destination = self.directory.join(name);
        if destination.is_dir() {
            return Ok(destination);
        }
        fs::create_dir_all(&self.directory)
            .context(|| format!("cannot create {}", self.directory.display()))?;
        let _lock = self.lock(name)?;
        if destination.is_dir() {
            return Ok(destination);
        }
        self.remove_leftovers(name);

        let temporary = Temporary(
            self.directory
                .join(format!("{name}.tmp-{}", std::process::id())),
        );
        let filling = Filling {
            content: temporary.0.join("content"),
            scratch: temporary.0.join("scratch"),
            destination: destination.clone(),
        };
        for folder in [&filling.content, &filling.scratch] {
            fs::create_dir_all(folder).context(|| format!("cannot create {}", folder.display()))?;
        }
        fill(&filling)?;
        fs::rename(&filling.content, &destination)
            .context(|| format!("cannot move into {}", destination.display()))?;
        Ok(destination)
    }

    fn lock(&self, name: &str) -> Result<File> {
        let path = self.directory.join(format!("{name}.lock"));
        let file = File::create(&path).context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                println!("set-up: waits for another set-up that is preparing {name}");
                file.lock()
                    .context(|| format!("cannot lock {}", path.display()))?;
                Ok(file)
            }
            Err(TryLockError::Error(error)) => Err(Failure::new(format!(
                "cannot lock {}: {error}",
                path.display()
            ))),
        }
    }

    /// What a fill left behind that was killed before it could clean up.
    fn remove_leftovers(&self, name: &str) {
        let prefix = format!("{name}.tmp-");
        for found in fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            if found.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = fs::remove_dir_all(found.path());
            }
        }
    }
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `$XDG_CACHE_HOME/turn-wasm`, else `~/.cache/turn-wasm`. The XDG base directory specification has relative values ignored.
fn user_directory(xdg: Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf> {
    xdg.map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| {
            home.filter(|home| !home.as_os_str().is_empty())
                .map(|home| home.join(".cache"))
        })
        .map(|path| path.join("turn-wasm"))
        .ok_or_else(|| {
            Failure::new("there is no home directory to keep tools in: set HOME or XDG_CACHE_HOME")
        })
}

/// A short name for a file's content (FNV-1a), for entries whose version is a whole file. Not against an adversary.
pub fn fingerprint(content: &[u8]) -> String {
    let hash = content
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

/// A version as part of a folder's name: letters, digits and `.`, `-`, `_`, `+`; everything else becomes `_`.
pub fn file_name(version: &str) -> String {
    version
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || ".-_+".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Links `target` under the name `link`.
#[cfg(unix)]
pub fn link(target: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, link).context(|| format!("cannot link {}", link.display()))
}

#[cfg(not(unix))]
pub fn link(target: &Path, link: &Path) -> Result<()> {
    Err(Failure::new(format!(
        "cannot link {} to {}",
        link.display(),
        target.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(test: &str) -> Cache {
        let directory =
            std::env::temp_dir().join(format!("xtask-cache-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        Cache { directory }
    }

    fn folders(cache: &Cache) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&cache.directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_entry_is_filled_once() {
        let cache = cache("once");
        let path = cache
            .entry("tool-1.0", |filling| {
                fs::write(filling.content.join("tool"), "x").unwrap();
                fs::write(filling.scratch.join("object"), "x").unwrap();
                Ok(())
            })
            .unwrap();
        assert!(path.join("tool").is_file());
        assert!(!path.join("object").exists());
        let again = cache
            .entry("tool-1.0", |_| Err(Failure::new("filled twice")))
            .unwrap();
        assert_eq!(again, path);
        assert_eq!(folders(&cache), ["tool-1.0"]);
        fs::remove_dir_all(cache.directory).unwrap();
    }

    #[test]
    fn a_fill_that_fails_leaves_nothing() {
        let cache = cache("fails");
        let failure = cache
            .entry("tool-1.0", |filling| {
                fs::write(filling.content.join("half"), "x").unwrap();
                Err(Failure::new("no network"))
            })
            .unwrap_err();
        assert_eq!(failure.to_string(), "no network");
        assert!(folders(&cache).is_empty());
        fs::remove_dir_all(cache.directory).unwrap();
    }

    #[test]
    fn what_a_killed_fill_left_goes_with_the_next_fill() {
        let cache = cache("killed");
        fs::create_dir_all(cache.directory.join("tool-1.0.tmp-1/content")).unwrap();
        fs::create_dir_all(cache.directory.join("tool-2.0.tmp-1/content")).unwrap();
        fs::write(cache.directory.join("tool-1.0.lock"), "").unwrap();
        cache.entry("tool-1.0", |_| Ok(())).unwrap();
        assert_eq!(folders(&cache), ["tool-1.0", "tool-2.0.tmp-1"]);
        fs::remove_dir_all(cache.directory).unwrap();
    }

    #[test]
    fn two_fills_of_one_entry_do_not_overlap() {
        let cache = cache("two");
        let filled = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    cache
                        .entry("tool-1.0", |_| {
                            filled.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            std::thread::sleep(std::time::Duration::from_millis(50));
                            Ok(())
                        })
                        .unwrap();
                });
            }
        });
        assert_eq!(filled.into_inner(), 1);
        fs::remove_dir_all(cache.directory).unwrap();
    }

    #[test]
    fn the_directory_follows_xdg_and_else_the_home_directory() {
        let home = || Some(PathBuf::from("/home/ann"));
        let path = |xdg: &str| user_directory(Some(xdg.into()), home()).unwrap();
        assert_eq!(
            path("/var/cache/ann"),
            Path::new("/var/cache/ann/turn-wasm")
        );
        assert_eq!(path("relative"), Path::new("/home/ann/.cache/turn-wasm"));
        assert_eq!(path(""), Path::new("/home/ann/.cache/turn-wasm"));
        assert_eq!(
            user_directory(None, home()).unwrap(),
            Path::new("/home/ann/.cache/turn-wasm")
        );
        assert!(
            user_directory(None, None)
                .unwrap_err()
                .to_string()
                .contains("XDG_CACHE_HOME")
        );
    }

    #[test]
    fn versions_become_file_names() {
        assert_eq!(
            file_name("1:19.1.7-3~deb12u1+b/2"),
            "1_19.1.7-3_deb12u1+b_2"
        );
        assert_eq!(fingerprint(b"a"), "af63dc4c8601ec8c");
        assert_ne!(fingerprint(b"ab"), fingerprint(b"ba"));
    }
}
