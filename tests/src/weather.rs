//! A wire with weather: frames take their time over it, some are lost, and some are overtaken.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{namespace::Namespace, topology::wire};

/// What happens to frames on their way, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// How long each takes.
    pub delay: Duration,
    /// How many of a thousand are lost.
    pub lost_permille: u32,
    /// How many of a thousand take half as long again, and are overtaken by others.
    pub late_permille: u32,
}

/// Two devices in two namespaces, with weather between them. It clears up when dropped: nothing gets through any more.
#[derive(Debug)]
pub struct Wire {
    is_over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    _between: Namespace,
}

/// Devices between the two.
const ENDS: [&str; 2] = ["end0", "end1"];
/// More than the largest frame there is, segments to be cut by the other device included.
const FRAME_BYTES: usize = 128 * 1_024;

impl Wire {
    /// Makes both devices and what is between them; both are up.
    pub fn new(
        (one, device): (&Namespace, &str),
        (other, other_device): (&Namespace, &str),
        weather: Weather,
    ) -> Result<Self> {
        let between = Namespace::new("weather")?;
        for end in ENDS {
            between
                .sysctl("net/ipv6/conf/default/disable_ipv6", "1")
                .with_context(|| format!("for {end}"))?;
        }
        wire(one, device, &between, ENDS[0])?;
        wire(other, other_device, &between, ENDS[1])?;
        let [first, second] = between.enter(|| Ok([Arc::new(open(ENDS[0])?), Arc::new(open(ENDS[1])?)]))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let workers = [(&first, &second, 1), (&second, &first, 2)].map(|(from, to, seed)| {
            let (from, to, is_over) = (Arc::clone(from), Arc::clone(to), Arc::clone(&is_over));
            thread::spawn(move || carry(&from, &to, weather, seed, &is_over))
        });
        Ok(Self { is_over, workers: workers.into(), _between: between })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            // One that panicked is a wire that broke; the case has seen that.
            let _ = worker.join();
        }
    }
}

/// A packet socket of a device in the namespace of this thread, for whole frames. What a device would still do to them
/// (checksums, cutting in segments) goes before each, in a `struct virtio_net_hdr`, and is handed on.
fn open(device: &str) -> Result<OwnedFd> {
    let all_protocols = u16::try_from(libc::ETH_P_ALL).context("a number of a protocol")?.to_be();
    // SAFETY: no memory is handed over; the descriptor is checked and owned from then on.
    let raw = unsafe {
        libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            i32::from(all_protocols),
        )
    };
    Errno::result(raw).context("make a packet socket")?;
    // SAFETY: it was just made, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let index = nix::net::if_::if_nametoindex(device).with_context(|| format!("find {device}"))?;
    let place = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).context("a number of a family")?,
        sll_protocol: all_protocols,
        sll_ifindex: i32::try_from(index).context("the index of a device")?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let on: libc::c_int = 1;
    let [on_bytes, place_bytes] = [size_of_val(&on), size_of_val(&place)]
        .map(|bytes| libc::socklen_t::try_from(bytes).unwrap_or(libc::socklen_t::MAX));
    // SAFETY: all point to values of the lengths told, which outlive the calls.
    let results = unsafe {
        [
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_VNET_HDR,
                (&raw const on).cast(),
                on_bytes,
            ),
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_IGNORE_OUTGOING,
                (&raw const on).cast(),
                on_bytes,
            ),
            libc::bind(socket.as_raw_fd(), (&raw const place).cast(), place_bytes),
        ]
    };
    for result in results {
        Errno::result(result).with_context(|| format!("open {device}"))?;
    }
    Ok(socket)
}

/// Carries frames from one end to the other until it is over.
fn carry(from: &OwnedFd, to: &OwnedFd, weather: Weather, seed: u64, is_over: &AtomicBool) {
    const GLANCE: Duration = Duration::from_millis(50);
    let mut dice = Dice(seed);
    let mut buffer = vec![0; FRAME_BYTES];
    let mut under_way: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let due = under_way.keys().next().map(|&(due, _)| due.saturating_duration_since(Instant::now()));
        let wait = due.unwrap_or(GLANCE).min(GLANCE);
        let timeout = PollTimeout::try_from(wait + Duration::from_micros(999)).unwrap_or(PollTimeout::ZERO);
        let _ = poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], timeout);
        let mut taken = 0_u64;
        while let Ok(frame) = receive(from, &mut buffer) {
            taken += 1;
            let Some(delay) = weather.delay_of(&mut dice) else { continue };
            under_way.insert((Instant::now() + delay, (number << 20) + taken), frame.to_vec());
        }
        while let Some(entry) = under_way.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
            send(to, &entry.remove());
        }
    }
}

impl Weather {
    /// How long the next frame takes; nothing if it is lost.
    fn delay_of(self, dice: &mut Dice) -> Option<Duration> {
        if dice.throw() < self.lost_permille {
            return None;
        }
        Some(if dice.throw() < self.late_permille { self.delay * 3 / 2 } else { self.delay })
    }
}

/// A generator of numbers that are the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    /// One of a thousand.
    fn throw(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 20) % 1_000).unwrap_or_default()
    }
}

fn receive<'a>(from: &OwnedFd, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let length = nix::unistd::read(from.as_fd(), buffer).context("receive a frame")?;
    if length == 0 {
        bail!("an empty frame");
    }
    Ok(&buffer[..length])
}

/// A frame that finds no room is lost, as on any wire.
fn send(to: &OwnedFd, frame: &[u8]) {
    let _ = nix::unistd::write(to, frame);
}

/// `linux/if_packet.h`.
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
