//! What the package weighs on the wire, and the limit it must keep.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::node::Node;
use crate::process;

/// wasm + JavaScript after minification and brotli −11, in bytes (DESIGN: budgets).
pub const BUDGET: u64 = 24 * 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub raw: u64,
    pub gzip: u64,
    pub brotli: u64,
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |sum, size| Self {
            raw: sum.raw + size.raw,
            gzip: sum.gzip + size.gzip,
            brotli: sum.brotli + size.brotli,
        })
    }
}

/// Measures files with Node's own zlib, by the script tools/sizes.mjs.
pub fn measure(node: &Node, script: &Path, files: &[PathBuf]) -> Result<Vec<Size>> {
    let printed = process::output(node.run("node").arg(script).args(files))?;
    let sizes: Option<Vec<Size>> = printed.lines().map(parse).collect();
    match sizes {
        Some(sizes) if sizes.len() == files.len() => Ok(sizes),
        _ => Err(Failure::new(format!(
            "{} printed no sizes: {printed}",
            script.display()
        ))),
    }
}

fn parse(line: &str) -> Option<Size> {
    let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
    let size = Size {
        raw: numbers.next()??,
        gzip: numbers.next()??,
        brotli: numbers.next()??,
    };
    numbers.next().is_none().then_some(size)
}

/// The table that a build prints, with the sum and what is left of the budget.
pub fn table(rows: &[(String, Size)]) -> String {
    let sum: Size = rows.iter().map(|(_, size)| *size).sum();
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .chain([16])
        .max()
        .unwrap_or_default();
    let mut lines = vec![format!(
        "{:width$}  {:>8}  {:>8}  {:>9}",
        "bytes", "raw", "gzip -9", "brotli 11"
    )];
    for (name, size) in rows
        .iter()
        .map(|(name, size)| (name.as_str(), size))
        .chain([("sum", &sum)])
    {
        lines.push(format!(
            "{name:width$}  {:>8}  {:>8}  {:>9}",
            size.raw, size.gzip, size.brotli
        ));
    }
    lines.join("\n")
}

/// Fails if the sum is above the budget.
pub fn check(sum: Size) -> Result<()> {
    if sum.brotli <= BUDGET {
        println!(
            "{} of {BUDGET} bytes used, {} left",
            sum.brotli,
            BUDGET - sum.brotli
        );
        return Ok(());
    }
    Err(Failure::new(format!(
        "the package weighs {} bytes after brotli, {} above its budget of {BUDGET}; `cargo xtask build --report` names the largest functions",
        sum.brotli,
        sum.brotli - BUDGET
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(brotli: u64) -> Size {
        Size {
            raw: brotli * 3,
            gzip: brotli * 2,
            brotli,
        }
    }

    #[test]
    fn a_line_is_three_numbers() {
        assert_eq!(parse("30 20 10"), Some(size(10)));
        assert_eq!(parse("30 20"), None);
        assert_eq!(parse("30 20 10 0"), None);
        assert_eq!(parse("30 20 -1"), None);
    }

    #[test]
    fn the_table_ends_with_the_sum() {
        let table = table(&[("a.js".into(), size(10)), ("a.wasm".into(), size(1))]);
        let sum = table.lines().last().unwrap();
        assert_eq!(
            sum.split_whitespace().collect::<Vec<_>>(),
            ["sum", "33", "22", "11"]
        );
    }

    #[test]
    fn the_budget_is_kept_up_to_the_last_byte() {
        check(size(BUDGET)).unwrap();
        assert!(
            check(size(BUDGET + 1))
                .unwrap_err()
                .to_string()
                .contains("1 above")
        );
    }
}
