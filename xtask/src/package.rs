//! The npm package's generated half: pkg/dist, from the crate and its browser layer, through wasm-opt and esbuild.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::failure::{Context, Result};
use crate::inline;
use crate::node::Node;
use crate::panic_text;
use crate::process;
use crate::progress;
use crate::size::{self, Size};
use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;

/// The name of the generated files, without their endings.
const NAME: &str = "turn_wasm";

/// The instruction sets that rustc's wasm32-unknown-unknown uses by default; every browser with the WebRTC calls the
/// package needs has them. Never `--all-features`: it lets wasm-opt write what browsers refuse.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// How JavaScript is made smaller. Private members of classes and `import.meta` are in ES2022.
const ESBUILD: [&str; 4] = [
    "--minify",
    "--format=esm",
    "--target=es2022",
    "--log-level=warning",
];

/// What the package carries of the repository's own papers.
const PAPERS: [&str; 3] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// The hand-written entries in pkg/.
const ENTRIES: [&str; 3] = ["index.js", "inline.js", "react.js"];

/// How many functions `--report` lists.
const LARGEST: &str = "10";

/// Everything a build of the package needs.
pub struct Tools {
    toolchain: Toolchain,
    node: Node,
}

impl Tools {
    pub fn set_up(cache: &Cache, workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            node: Node::set_up(cache, workspace)?,
            toolchain: Toolchain::set_up(cache)?,
        })
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The cargo that builds for WebAssembly.
    pub fn cargo(&self) -> Command {
        self.toolchain.cargo()
    }
}

/// Builds pkg/dist and returns what the package weighs; whether that is too much is for the caller to say.
pub fn build(workspace: &Workspace, tools: &Tools, report: bool) -> Result<Size> {
    println!("build: the wasm module (release)");
    let target = workspace.target().join("wasm");
    let took = process::with_progress(
        tools
            .toolchain
            .cargo()
            .args([
                "build",
                "--release",
                "--lib",
                "--package",
                "turn-wasm",
                "--target",
                TARGET,
            ])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(workspace.root())
            .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace)),
    )?;
    println!("        done in {}", progress::seconds(took));
    let module = target
        .join(TARGET)
        .join("release")
        .join(format!("{NAME}.wasm"));

    let package = workspace.root().join("pkg");
    let stage = Stage::new(target.join(format!("package-{}", std::process::id())))?;
    println!("build: both halves made smaller (wasm-opt, esbuild)");
    // Beside its place, so that the map's paths to the sources hold there, and one rename moves it in.
    let dist = Stage::new(package.join(format!(".dist-new-{}", std::process::id())))?;
    let wasm = dist.0.join(format!("{NAME}_bg.wasm"));
    let module = without_panic_texts(tools, &stage, &module, &wasm, &dist.0)?;
    let text = inlined(&wasm)?;
    let script = bundled(tools, workspace, &dist.0)?;
    let entries = minified(
        tools,
        &package,
        &stage.folder("entries")?,
        &ENTRIES.map(|name| package.join(name)),
    )?;

    let measured: Vec<_> = [wasm, text, script].into_iter().chain(entries).collect();
    let scripts = workspace.root().join("xtask/tools");
    let sizes = size::measure(&tools.node, &scripts.join("sizes.mjs"), &measured)?;
    let rows: Vec<_> = measured
        .iter()
        .map(|path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .zip(sizes)
        .collect();
    let entry = |files: &[&str]| -> Vec<_> {
        rows.iter()
            .filter(|(name, _)| files.contains(&name.as_str()))
            .cloned()
            .collect()
    };
    let default = entry(&["turn_wasm_bg.wasm", "turn_wasm.js", "index.js"]);
    println!("{}", size::table(&default));
    println!("turn-wasm/inline, in the place of turn-wasm:");
    let inline = ["turn_wasm_inline.js", "turn_wasm.js", "inline.js"];
    println!("{}", size::table(&entry(&inline)));
    println!("turn-wasm/react, beside turn-wasm:");
    println!("{}", size::table(&entry(&["react.js"])));
    if report {
        let named = stage.folder("named")?.join(format!("{NAME}_bg.wasm"));
        let wasm = optimised(tools, &module, &named, &["--debuginfo"])?;
        let mut list = tools.node.run("node");
        let functions = process::output(
            list.arg(scripts.join("functions.mjs"))
                .arg(wasm)
                .arg(LARGEST),
        )?;
        println!("the largest functions, in bytes of code:\n{functions}");
    }
    publish(dist, &package.join("dist"))?;
    for paper in PAPERS {
        let from = workspace.root().join(paper);
        fs::copy(&from, package.join(paper))
            .context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(default.iter().map(|(_, size)| *size).sum())
}

/// Makes the module smaller; returns what it was made from: without the texts of panics, unless what remains may read them.
fn without_panic_texts(
    tools: &Tools,
    stage: &Stage,
    module: &Path,
    to: &Path,
    dist: &Path,
) -> Result<PathBuf> {
    let blanked = stage.folder("blanked")?.join(format!("{NAME}.wasm"));
    let bytes = fs::read(module).context(|| format!("cannot read {}", module.display()))?;
    fs::write(&blanked, panic_text::blanked(bytes))
        .context(|| format!("cannot write {}", blanked.display()))?;
    optimised(tools, &blanked, to, &symbol_options(dist))?;
    let names = symbols(dist);
    let read = fs::read_to_string(&names).context(|| format!("cannot read {}", names.display()))?;
    if !panic_text::is_read(&read) {
        return Ok(blanked);
    }
    optimised(tools, module, to, &symbol_options(dist))?;
    Ok(module.to_path_buf())
}

/// Takes the functions' names out of the module and keeps them in a file that is no part of the package: a line
/// `index:name` for each `wasm-function[index]` of a stack trace.
fn symbol_options(dist: &Path) -> [String; 2] {
    [
        format!("--symbolmap={}", symbols(dist).display()),
        "--strip-debug".to_owned(),
    ]
}

fn symbols(dist: &Path) -> PathBuf {
    dist.join(format!("{NAME}_bg.symbols"))
}

/// Makes a module smaller.
pub fn optimised<S: AsRef<OsStr>>(
    tools: &Tools,
    module: &Path,
    to: &Path,
    also: &[S],
) -> Result<PathBuf> {
    process::with_progress(
        tools
            .node
            .wasm_opt()
            .arg(module)
            .arg("-o")
            .arg(to)
            // The first KiB of the memory is never used by what rustc links, so constants may fold into offsets.
            // Taken apart and structured anew first, the code comes out one percent smaller.
            .args([
                // The linker's own, which nobody asks for.
                "--remove-exports=__*",
                "-O4",
                "--converge",
                "--flatten",
                "--rereloop",
                "-Oz",
                "-Oz",
                "--low-memory-unused",
                "--optimize-added-constants-propagate",
                // Repetition that a local would save is what brotli is good at, and so are bodies that stay in one piece: what these
                // save raw comes out larger compressed, by some hundred bytes.
                "--skip-pass=local-cse",
                "--skip-pass=simplify-locals",
                "--one-caller-inline-max-function-size=100",
            ])
            .args(FEATURES)
            .args(["--strip-producers", "--strip-target-features"])
            .args(also),
    )?;
    Ok(to.to_path_buf())
}

/// Writes the module once more, as text in a JavaScript module beside it.
fn inlined(wasm: &Path) -> Result<PathBuf> {
    let bytes = fs::read(wasm).context(|| format!("cannot read {}", wasm.display()))?;
    let to = wasm.with_file_name(format!("{NAME}_inline.js"));
    let script = format!("export default \"{}\";\n", inline::text(&bytes));
    fs::write(&to, script).context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}

/// Makes one module of the browser layer's JavaScript, and a map of it to the sources, which is no part of the package.
fn bundled(tools: &Tools, workspace: &Workspace, into: &Path) -> Result<PathBuf> {
    let to = into.join(format!("{NAME}.js"));
    process::with_progress(
        tools
            .node
            .esbuild()
            .arg(workspace.root().join("src/browser/entry.js"))
            .args(ESBUILD)
            .args(["--bundle", "--sourcemap=external"])
            .arg(format!("--outfile={}", to.display())),
    )?;
    Ok(to)
}

/// Minifies modules one by one: nothing is bundled, so `import.meta.url` and the imports between them stay as written.
fn minified(tools: &Tools, base: &Path, into: &Path, modules: &[PathBuf]) -> Result<Vec<PathBuf>> {
    process::with_progress(
        tools
            .node
            .esbuild()
            .args(modules)
            .args(ESBUILD)
            .arg(format!("--outbase={}", base.display()))
            .arg(format!("--outdir={}", into.display())),
    )?;
    Ok(modules
        .iter()
        .filter_map(|module| Some(into.join(module.strip_prefix(base).ok()?)))
        .collect())
}

/// Puts the finished folder in the place of the old one. What a reader sees is the old folder or the new one, but for
/// the moment between two renames.
fn publish(dist: Stage, place: &Path) -> Result<()> {
    let old = place.with_file_name(format!(".dist-old-{}", std::process::id()));
    if place.exists() {
        fs::rename(place, &old).context(|| format!("cannot move {}", place.display()))?;
    }
    let moved =
        fs::rename(&dist.0, place).context(|| format!("cannot move into {}", place.display()));
    let _ = fs::remove_dir_all(&old);
    moved
}

/// How much stack the module gets, in bytes. Nothing in it recurses deeper than a response's few levels; rustc's own
/// choice, a MiB, would be most of the module's memory.
const STACK: u32 = 65_536;

/// rustc's flags. Some keep this machine's folders out of the panic messages: they would leak into the package, and make
/// its size depend on where the clone lies.
fn flags(workspace: &Workspace) -> String {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .unwrap_or_default();
    [
        (workspace.root().to_path_buf(), "/turn-wasm"),
        (home.join("registry/src"), "/crates"),
    ]
    .iter()
    .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()))
    .chain([format!("-Clink-arg=-zstack-size={STACK}")])
    .collect::<Vec<_>>()
    // Cargo's own separator, since a folder's name may hold a space.
    .join("\u{1f}")
}

/// A folder that goes when it is no longer looked at.
struct Stage(PathBuf);

impl Stage {
    fn new(path: PathBuf) -> Result<Self> {
        let stage = Self(path);
        fs::create_dir_all(&stage.0).context(|| format!("cannot create {}", stage.0.display()))?;
        Ok(stage)
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
