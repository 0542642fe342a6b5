//! Static files: the demo page, the npm package and what tests mount. Sends the headers that a careful site sends, and
//! starts a session for whoever loads a page.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api_error::ApiError;
use crate::options::Options;
use crate::server::App;

/// `wasm-unsafe-eval` lets a page compile WebAssembly and nothing else.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; form-action 'self'; object-src 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

pub struct Site {
    /// Longest path first, so that the first that fits is the right one.
    folders: Vec<Folder>,
}

struct Folder {
    /// `""` for the root, else starts with a slash and ends without one.
    path: String,
    root: PathBuf,
    /// A folder below `root` that is not for browsers.
    hidden: Option<PathBuf>,
    /// Links out of a folder are followed only where whoever runs the tests named it.
    links: bool,
}

enum Found {
    File(PathBuf),
    /// A folder named without its slash, from which relative links would go wrong.
    Folder,
    Nothing,
}

impl Site {
    pub fn new(options: &Options) -> Self {
        let mut folders = vec![
            Folder {
                path: String::new(),
                root: options.www.clone(),
                hidden: Some(options.www.join("server")),
                links: false,
            },
            Folder {
                path: "/pkg".to_owned(),
                root: options.pkg.clone(),
                hidden: None,
                links: false,
            },
        ];
        folders.extend(options.mount.iter().map(|mount| Folder {
            path: mount.path.clone(),
            root: mount.folder.clone(),
            hidden: None,
            links: true,
        }));
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.path.len()));
        Self { folders }
    }

    async fn find(&self, path: &str) -> Found {
        let Some(path) = decode(path) else {
            return Found::Nothing;
        };
        for folder in &self.folders {
            if let Some(rest) = path.strip_prefix(&folder.path)
                && rest.starts_with('/')
            {
                return folder.find(rest).await;
            }
        }
        Found::Nothing
    }
}

impl Folder {
    async fn find(&self, path: &str) -> Found {
        let path = path.strip_prefix('/').unwrap_or(path);
        let is_folder = path.is_empty() || path.ends_with('/');
        let path = path.strip_suffix('/').unwrap_or(path);
        let unsafe_part = |part: &str| {
            part.is_empty() || part.starts_with('.') || part.contains(['\\', '\0', ':'])
        };
        if !path.is_empty() && path.split('/').any(unsafe_part) {
            return Found::Nothing;
        }
        let mut file = self.root.join(path);
        if is_folder {
            file.push("index.html");
        }
        let (Ok(real), Ok(root)) = (
            tokio::fs::canonicalize(&file).await,
            tokio::fs::canonicalize(&self.root).await,
        ) else {
            return Found::Nothing;
        };
        if !self.links && !real.starts_with(&root) {
            return Found::Nothing;
        }
        if let Some(hidden) = &self.hidden
            && let Ok(hidden) = tokio::fs::canonicalize(hidden).await
            && real.starts_with(&hidden)
        {
            return Found::Nothing;
        }
        match tokio::fs::metadata(&real).await {
            Ok(about) if about.is_file() => Found::File(file),
            Ok(about) if about.is_dir() && !is_folder => Found::Folder,
            _ => Found::Nothing,
        }
    }
}

/// Percent-decoded; `None` for what is no valid text.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? << 4 | digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn media_type(file: &Path) -> &'static str {
    let extension = file
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webm" => "video/webm",
        "mp4" => "video/mp4",
        "txt" | "md" | "ts" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

pub async fn serve(State(app): State<Arc<App>>, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = ApiError::method_not_allowed().into_response();
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let path = request.uri().path();
    let file = match app.site.find(path).await {
        Found::File(file) => file,
        Found::Folder => {
            return match HeaderValue::try_from(format!("{path}/")) {
                Ok(location) => {
                    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response()
                }
                Err(_) => ApiError::not_found().into_response(),
            };
        }
        Found::Nothing => return ApiError::not_found().into_response(),
    };
    let Ok(content) = tokio::fs::read(&file).await else {
        return ApiError::not_found().into_response();
    };
    let media_type = media_type(&file);
    let mut response = Response::new(Body::from(content));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if media_type.starts_with("text/html") {
        match app.authentication.on_page(request.headers()) {
            Ok(None) => {}
            Ok(Some(cookie)) => match HeaderValue::try_from(cookie) {
                Ok(cookie) => {
                    response.headers_mut().insert(SET_COOKIE, cookie);
                }
                Err(_) => return ApiError::internal().into_response(),
            },
            Err(error) => return error.into_response(),
        }
    }
    response
}

/// What every answer carries, whatever it is.
pub async fn add_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_broken_ones_refused() {
        assert_eq!(decode("/a%20b/%C3%A4"), Some("/a b/ä".to_owned()));
        assert_eq!(decode("/%252e"), Some("/%2e".to_owned()));
        for broken in ["/%", "/%f", "/%zz", "/%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn browsers_get_the_types_that_modules_and_wasm_need() {
        assert_eq!(media_type(Path::new("a.wasm")), "application/wasm");
        assert_eq!(
            media_type(Path::new("a.JS")),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(media_type(Path::new("a")), "application/octet-stream");
    }
}
