//! What the benchmarks of the core hand to it.

#[path = "../../driver/words.rs"]
mod words;

/// A response in Cloudflare's shape with so many TURN URLs, as the session reads it. All of one length.
pub fn response(username: &str, urls: usize) -> String {
    let urls: Vec<String> = (0..urls)
        .map(|number| format!("\"turn:turn-{number:02}.example.org:3478?transport=udp\""))
        .collect();
    let urls = urls.join(",");
    as_words(&format!(
        r#"{{"iceServers":[{{"urls":["stun:stun.example.org:3478"]}},{{"urls":[{urls}],"username":"{username}","credential":"a-credential"}}],"ttl":600}}"#
    ))
}

/// A response with so many members that mean nothing here.
pub fn padded(members: usize) -> String {
    let members: Vec<String> = (0..members)
        .map(|number| format!("\"member-{number:04}\":{{\"of\":[\"another\",\"kind\",{number}]}}"))
        .collect();
    let members = members.join(",");
    as_words(&format!(
        r#"{{{members},"iceServers":[{{"urls":["turn:turn.example.org"],"username":"alice","credential":"a-credential"}}],"ttl":600}}"#
    ))
}

fn as_words(json: &str) -> String {
    words::words(json).unwrap_or_default()
}
