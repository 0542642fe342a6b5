//! Relayed transport addresses: 127.0.0.1 and whatever port the system gives from its ephemeral range. Loopback only, so
//! that nobody can use the demo to reach another machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use turn::Error;
use turn::relay::RelayAddressGenerator;
use webrtc_util::Conn;

use super::udp::Datagrams;

pub struct LoopbackRelays;

#[async_trait]
impl RelayAddressGenerator for LoopbackRelays {
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        requested_port: u16,
    ) -> Result<(Arc<dyn Conn + Send + Sync>, SocketAddr), Error> {
        if !use_ipv4 {
            return Err(Error::ErrInvalidRequestedFamilyValue);
        }
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, requested_port)).await?;
        let address = socket.local_addr()?;
        Ok((Arc::new(Datagrams(socket)), address))
    }
}
