//! Why a segment could not be sent again.

use std::fmt;

use nix::errno::Errno;

/// The code of an attempt that failed within the node. The numbers of both kinds overlap; the record's sign tells them
/// apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// An errno, positive.
    Errno(u32),
    /// A code of the queueing discipline (`NET_XMIT_*` of `include/linux/netdevice.h`).
    Queue(u32),
}

impl Failure {
    /// What a record's number says: a negative errno, or a positive code of the queueing discipline; 0 is no failure.
    pub fn from_record(error: i32) -> Option<Self> {
        match error {
            0 => None,
            ..0 => Some(Self::Errno(error.unsigned_abs())),
            1.. => Some(Self::Queue(error.unsigned_abs())),
        }
    }

    /// The number, without the sign.
    pub fn code(self) -> u32 {
        match self {
            Self::Errno(code) | Self::Queue(code) => code,
        }
    }

    /// The kernel's name of it, such as `EHOSTUNREACH` or `NET_XMIT_DROP`; `None` for a number without one.
    pub fn name(self) -> Option<FailureName> {
        match self {
            Self::Errno(code) => {
                let errno = Errno::from_raw(i32::try_from(code).ok()?);
                (errno != Errno::UnknownErrno).then_some(FailureName::Errno(errno))
            }
            Self::Queue(1) => Some(FailureName::Queue("NET_XMIT_DROP")),
            Self::Queue(2) => Some(FailureName::Queue("NET_XMIT_CN")),
            Self::Queue(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    /// Its name, or what kind of number it is.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => name.fmt(formatter),
            (None, Self::Errno(code)) => write!(formatter, "errno {code}"),
            (None, Self::Queue(code)) => write!(formatter, "queueing code {code}"),
        }
    }
}

/// A failure's name, as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureName {
    /// Of an errno.
    Errno(Errno),
    /// Of a code of the queueing discipline.
    Queue(&'static str),
}

impl fmt::Display for FailureName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => write!(formatter, "{errno:?}"),
            Self::Queue(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn the_sign_tells_errnos_from_queueing_codes() {
        for (error, expected, text) in [
            (-1, Failure::Errno(1), "EPERM"),
            (-2, Failure::Errno(2), "ENOENT"),
            (-113, Failure::Errno(113), "EHOSTUNREACH"),
            (-4_095, Failure::Errno(4_095), "errno 4095"),
            (1, Failure::Queue(1), "NET_XMIT_DROP"),
            (2, Failure::Queue(2), "NET_XMIT_CN"),
            (113, Failure::Queue(113), "queueing code 113"),
            (i32::MIN, Failure::Errno(1 << 31), "errno 2147483648"),
        ] {
            let failure = Failure::from_record(error);
            assert_eq!(failure, Some(expected), "{error}");
            assert_eq!(failure.map(|failure| failure.to_string()).as_deref(), Some(text), "{error}");
        }
        assert_eq!(Failure::from_record(0), None);
    }
}
