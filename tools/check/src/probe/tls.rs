//! A look at what a TLS listener agrees to.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};

use crate::judge::transport::Handshake;

const PATIENCE: Duration = Duration::from_secs(10);

/// Shakes hands with the host of an `https` address, offering HTTP/2.
pub(super) fn handshake(address: &str) -> Handshake {
    shake(address).unwrap_or_else(|trouble| Handshake {
        trouble: Some(trouble),
        ..Handshake::default()
    })
}

fn shake(address: &str) -> Result<Handshake, String> {
    let authority = address
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split(['/', '?']).next())
        .unwrap_or("");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| "no port".to_owned())?)
        }
        _ => (authority, 443),
    };
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let place = (&*host, port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?
        .next();
    let place = place.ok_or("the host has no address")?;
    let mut socket =
        TcpStream::connect_timeout(&place, PATIENCE).map_err(|error| error.to_string())?;
    for timed in [
        socket.set_read_timeout(Some(PATIENCE)),
        socket.set_write_timeout(Some(PATIENCE)),
    ] {
        timed.map_err(|error| error.to_string())?;
    }
    while connection.is_handshaking() {
        connection
            .complete_io(&mut socket)
            .map_err(|error| error.to_string())?;
    }
    Ok(Handshake {
        alpn: connection
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        is_1_3: connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
        trouble: None,
    })
}
