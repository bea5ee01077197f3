//! `wasi:sockets`: every socket and every look-up is refused.

use wasmtime::component::Resource;

use super::bindings::wasi::sockets::{
    instance_network,
    ip_name_lookup::{self, ResolveAddressStream},
    network::{self, ErrorCode, IpAddressFamily},
    tcp::{self, TcpSocket},
    tcp_create_socket,
    udp::{self, UdpSocket},
    udp_create_socket,
};
use crate::state::State;

const WHY: &str = "a connector has no sockets; send through the contract's `http` or through `wasi:http`";

/// What a guest must name to be refused.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside their private module")]
#[derive(Debug)]
pub struct NoNetwork;

impl State {
    fn no_socket<T>(&mut self, what: &str, name: &str) -> wasmtime::Result<Result<T, ErrorCode>> {
        self.count_host_call()?;
        self.attempted(what, name, WHY);
        Ok(Err(ErrorCode::AccessDenied))
    }
}

impl network::Host for State {}

impl network::HostNetwork for State {
    fn drop(&mut self, network: Resource<NoNetwork>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for State {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<NoNetwork>> {
        self.count_host_call()?;
        Ok(self.table.push(NoNetwork)?)
    }
}

impl ip_name_lookup::Host for State {
    fn resolve_addresses(
        &mut self,
        _network: Resource<NoNetwork>,
        name: String,
    ) -> wasmtime::Result<Result<Resource<ResolveAddressStream>, ErrorCode>> {
        self.no_socket("look up the host", &name)
    }
}

impl ip_name_lookup::HostResolveAddressStream for State {
    fn drop(&mut self, addresses: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        match self.table.delete(addresses)? {}
    }
}

impl tcp::Host for State {}

impl tcp::HostTcpSocket for State {
    fn drop(&mut self, socket: Resource<TcpSocket>) -> wasmtime::Result<()> {
        match self.table.delete(socket)? {}
    }
}

impl tcp_create_socket::Host for State {
    fn create_tcp_socket(
        &mut self,
        _family: IpAddressFamily,
    ) -> wasmtime::Result<Result<Resource<TcpSocket>, ErrorCode>> {
        self.no_socket("open a TCP socket", "")
    }
}

impl udp::Host for State {}

impl udp::HostUdpSocket for State {
    fn drop(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        match self.table.delete(socket)? {}
    }
}

impl udp_create_socket::Host for State {
    fn create_udp_socket(
        &mut self,
        _family: IpAddressFamily,
    ) -> wasmtime::Result<Result<Resource<UdpSocket>, ErrorCode>> {
        self.no_socket("open a UDP socket", "")
    }
}
