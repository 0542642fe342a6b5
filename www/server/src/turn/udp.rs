//! The UDP listener as the `turn` crate wants it, except that no error ends its read loop: a client that is gone shows up
//! as an ICMP error on the shared socket on some systems, and one client must not end the service for all.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use webrtc_util::{Conn, Error};

pub struct Datagrams(pub UdpSocket);

#[async_trait]
impl Conn for Datagrams {
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        loop {
            match self.0.recv_from(buffer).await {
                Ok(received) => return Ok(received),
                Err(error) => {
                    tracing::debug!(target: "turn", %error, "datagram not received");
                    // An error that persists must not become a busy loop.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }

    async fn send(&self, _: &[u8]) -> Result<usize, Error> {
        Err(unsupported())
    }

    async fn send_to(&self, bytes: &[u8], target: SocketAddr) -> Result<usize, Error> {
        Ok(self.0.send_to(bytes, target).await?)
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.0.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The crate closes the shared socket with every allocation; it stays open here.
    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// For the half of `Conn` that connected sockets have and a server never calls.
pub fn unsupported() -> Error {
    io::Error::from(io::ErrorKind::Unsupported).into()
}
