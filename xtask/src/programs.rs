//! The browsers and the TURN server that the tests drive: named by the environment, found on the PATH, or installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian;
use crate::failure::{Failure, Result};
use crate::process;

pub struct Programs {
    chromium: PathBuf,
    firefox: PathBuf,
    turnserver: PathBuf,
}

/// WebKit's driver, and a display for what it starts.
pub struct WebKit {
    driver: PathBuf,
    display: PathBuf,
}

struct Wanted {
    /// The environment variable that names the program, here and in the tests.
    variable: &'static str,
    names: &'static [&'static str],
    package: &'static str,
    why: &'static str,
}

const CHROMIUM: &str = "CHROMIUM";
const FIREFOX: &str = "FIREFOX";
const TURNSERVER: &str = "TURNSERVER";
const WEBKIT_DRIVER: &str = "WEBKIT_DRIVER";
const XVFB: &str = "XVFB";

const BROWSER_CHROMIUM: Wanted = Wanted {
    variable: CHROMIUM,
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    package: "chromium",
    why: "the tests run in it",
};

const BROWSER_FIREFOX: Wanted = Wanted {
    variable: FIREFOX,
    names: &[
        "firefox-esr",
        "firefox",
        "/Applications/Firefox.app/Contents/MacOS/firefox",
    ],
    package: "firefox-esr",
    why: "the tests run in it",
};

const COTURN: Wanted = Wanted {
    variable: TURNSERVER,
    names: &["turnserver"],
    package: "coturn",
    why: "the tests hold calls over this widespread TURN server, too",
};

const WEBKIT: Wanted = Wanted {
    variable: WEBKIT_DRIVER,
    names: &["WebKitWebDriver"],
    package: "webkit2gtk-driver",
    why: "the package is tested in WebKit, too",
};

const DISPLAY: Wanted = Wanted {
    variable: XVFB,
    names: &["Xvfb"],
    package: "xvfb",
    why: "WebKit needs a display",
};

impl Programs {
    pub fn set_up() -> Result<Self> {
        Ok(Self {
            chromium: BROWSER_CHROMIUM.set_up()?,
            firefox: BROWSER_FIREFOX.set_up()?,
            turnserver: {
                let installed_before = debian::installed(COTURN.package).is_some();
                let path = COTURN.set_up()?;
                if !installed_before && debian::installed(COTURN.package).is_some() {
                    stop_service();
                }
                path
            },
        })
    }

    /// Names them in the environment of a program that drives them.
    pub fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env(CHROMIUM, &self.chromium)
            .env(FIREFOX, &self.firefox)
            .env(TURNSERVER, &self.turnserver)
    }
}

impl WebKit {
    /// `None` where there is no WebKit of this kind.
    pub fn set_up() -> Result<Option<Self>> {
        if !cfg!(target_os = "linux") {
            return Ok(None);
        }
        Ok(Some(Self {
            driver: WEBKIT.set_up()?,
            display: DISPLAY.set_up()?,
        }))
    }

    /// Names both in the environment of a program that drives it.
    pub fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env(WEBKIT_DRIVER, &self.driver)
            .env(XVFB, &self.display)
    }
}

impl Wanted {
    fn set_up(&self) -> Result<PathBuf> {
        if let Some(named) = std::env::var_os(self.variable).filter(|value| !value.is_empty()) {
            let named = PathBuf::from(named);
            if named.is_file() {
                return Ok(named);
            }
            return Err(Failure::new(format!(
                "{} names {}, which does not exist",
                self.variable,
                named.display()
            )));
        }
        if let Some(found) = self.find() {
            return Ok(found);
        }
        let by_hand = format!(
            "missing: {} ({}); install it, or name the program in the environment variable {}",
            self.package, self.why, self.variable
        );
        if !debian::here() || !debian::root() && debian::installed(self.package).is_none() {
            return Err(Failure::new(by_hand));
        }
        debian::install(&[self.package], self.why)?;
        self.find().ok_or_else(|| Failure::new(by_hand))
    }

    fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        find(
            self.names,
            &std::env::split_paths(&path).collect::<Vec<_>>(),
        )
    }
}

/// The first of these programs in these folders; a name with a path of its own stands for itself.
fn find(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| {
            let alone = Path::new(name).is_absolute().then(|| PathBuf::from(name));
            let inside = alone
                .is_none()
                .then(|| folders.iter().map(move |folder| folder.join(name)));
            alone.into_iter().chain(inside.into_iter().flatten())
        })
        .find(|path| path.is_file())
}

/// Debian starts coturn as a system service when it installs it; the tests start their own, and nobody asked for one.
fn stop_service() {
    if Path::new("/run/systemd/system").is_dir() {
        let _ = process::output(Command::new("systemctl").args(["disable", "--now", "coturn"]));
    } else if Path::new("/etc/init.d/coturn").is_file() {
        let _ = process::output(Command::new("/etc/init.d/coturn").arg("stop"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_in_order_and_folders_within_them() {
        let folder = std::env::temp_dir().join(format!("xtask-programs-{}", std::process::id()));
        let (first, second) = (folder.join("first"), folder.join("second"));
        for path in [&first, &second] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(second.join("chromium"), "").unwrap();
        std::fs::write(first.join("chrome"), "").unwrap();
        let folders = [first.clone(), second.clone()];
        assert_eq!(
            find(&["chromium", "chrome"], &folders),
            Some(second.join("chromium"))
        );
        assert_eq!(
            find(&["chrome", "chromium"], &folders),
            Some(first.join("chrome"))
        );
        let absolute = first.join("chrome");
        assert_eq!(
            find(&["missing", absolute.to_str().unwrap()], &folders),
            Some(absolute.clone())
        );
        assert_eq!(find(&["missing"], &folders), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
