//! One TCP or TLS stream between a client and the server, shown to the `turn` crate as a `Conn` that carries whole messages
//! (RFC 8656 sections 3.1 and 12.5: STUN messages and ChannelData follow each other without further framing, ChannelData
//! padded to four bytes).
//!
//! Either end can use it: the server, and a client in a test.
//!
//! Writing never waits for the reader: a relay is a datagram service, so what a slow reader has no room for is dropped,
//! and the relay of everybody else goes on.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex as SyncMutex, PoisonError};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use webrtc_util::{Conn, Error};

use super::udp::unsupported;

/// Messages waiting to be written; about a second of video.
const QUEUE: usize = 512;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

pub struct Stream {
    peer: SocketAddr,
    local: SocketAddr,
    reader: Mutex<BufReader<Reader>>,
    outgoing: mpsc::Sender<Vec<u8>>,
    ended: SyncMutex<Option<oneshot::Sender<()>>>,
}

impl Stream {
    /// The receiver fires when nothing more can be read from the stream.
    pub fn new(
        stream: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> (Self, oneshot::Receiver<()>) {
        // Small messages matter more than full segments; without it they only arrive later.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Self::of(Box::new(read), Box::new(write), peer, local)
    }

    /// The same over TLS, once the handshake is done.
    pub fn over_tls(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> (Self, oneshot::Receiver<()>) {
        let (read, write) = tokio::io::split(stream);
        Self::of(Box::new(read), Box::new(write), peer, local)
    }

    fn of(
        read: Reader,
        write: Writer,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> (Self, oneshot::Receiver<()>) {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(write, queue));
        let (tell, ended) = oneshot::channel();
        let stream = Self {
            peer,
            local,
            reader: Mutex::new(BufReader::new(read)),
            outgoing,
            ended: SyncMutex::new(Some(tell)),
        };
        (stream, ended)
    }

    fn end(&self) {
        if let Some(ended) = self
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            // Nobody listening means that the server is gone already.
            let _ = ended.send(());
        }
    }
}

async fn write_all(mut write: Writer, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if write.write_all(&message).await.is_err() {
            // The reading half meets the same end and reports it.
            return;
        }
        // TLS keeps what fits no whole record otherwise.
        if queue.is_empty() && write.flush().await.is_err() {
            return;
        }
    }
    let _ = write.shutdown().await;
}

/// What the first four bytes say about the length of the whole message.
fn message_length(head: [u8; 4]) -> io::Result<usize> {
    let [first, _, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    match first >> 6 {
        0b00 => Ok(20 + length),
        0b01 => Ok(4 + length.next_multiple_of(4)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "neither STUN nor ChannelData",
        )),
    }
}

/// The next message that fits `buffer`. Longer ones are skipped, as an oversized datagram would be lost.
async fn read_message(
    reader: &mut (impl AsyncReadExt + Unpin),
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        let mut head = [0; 4];
        reader.read_exact(&mut head).await?;
        let length = message_length(head)?;
        if let Some(message) = buffer.get_mut(..length) {
            let (start, rest) = message.split_at_mut(head.len());
            start.copy_from_slice(&head);
            reader.read_exact(rest).await?;
            return Ok(length);
        }
        let mut skipped = vec![0; length - head.len()];
        reader.read_exact(&mut skipped).await?;
    }
}

#[async_trait]
impl Conn for Stream {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    /// An error ends the crate's read loop, which then closes the allocation made over this stream.
    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        match read_message(&mut *self.reader.lock().await, buffer).await {
            Ok(length) => Ok((length, self.peer)),
            Err(error) => {
                self.end();
                Err(error.into())
            }
        }
    }

    async fn send(&self, _: &[u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    async fn send_to(&self, bytes: &[u8], _: SocketAddr) -> Result<usize, Error> {
        match self.outgoing.try_send(bytes.to_vec()) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(bytes.len()),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
            }
        }
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.local)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.peer)
    }

    /// The crate calls this with every allocation that ends; the client may allocate again on the same stream.
    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn stun(body: usize) -> Vec<u8> {
        let mut message = vec![0; 20 + body];
        message[2..4].copy_from_slice(&u16::try_from(body).unwrap().to_be_bytes());
        message
    }

    async fn read(bytes: &[u8], room: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; room];
        let mut bytes = bytes;
        let length = read_message(&mut bytes, &mut buffer).await?;
        buffer.truncate(length);
        Ok(buffer)
    }

    #[tokio::test]
    async fn a_stun_message_is_as_long_as_its_header_says() {
        let mut two = stun(8);
        two.extend(stun(0));
        assert_eq!(read(&two, 1500).await.unwrap(), stun(8));
    }

    #[tokio::test]
    async fn channel_data_is_read_with_its_padding() {
        let bytes = [0x40, 0x00, 0x00, 0x05, 1, 2, 3, 4, 5, 0, 0, 0, 0x40];
        assert_eq!(read(&bytes, 1500).await.unwrap(), bytes[..12]);
    }

    #[tokio::test]
    async fn a_message_too_long_for_the_server_is_skipped_and_the_next_one_read() {
        let mut two = stun(4000);
        two.extend(stun(4));
        assert_eq!(read(&two, 1500).await.unwrap(), stun(4));
    }

    #[tokio::test]
    async fn something_else_than_turn_ends_the_stream() {
        assert_eq!(
            read(&[0xff; 64], 1500).await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[tokio::test]
    async fn a_message_cut_short_ends_the_stream() {
        assert_eq!(
            read(&stun(8)[..21], 1500).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
