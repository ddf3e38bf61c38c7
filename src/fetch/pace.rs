//! The least rate of a transfer. A server that sends a byte now and then is never silent, and would
//! hold a setup as long as it likes.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// The least rate in bytes per second.
pub const LEAST_RATE: u64 = 1024;

/// A reader that fails if fewer bytes arrive in a period than the least rate demands. Only the time
/// that is spent waiting for the server counts.
pub struct Paced<R> {
    inner: R,
    period: Duration,
    least: u64,
    waited: Duration,
    arrived: u64,
}

impl<R: Read> Paced<R> {
    /// Creates a reader that judges periods of the length `period`.
    pub fn new(inner: R, period: Duration) -> Self {
        Self::with_least(inner, period, LEAST_RATE)
    }

    /// Creates a reader that demands another rate, in bytes per second.
    pub fn with_least(inner: R, period: Duration, least: u64) -> Self {
        Paced { inner, period, least, waited: Duration::ZERO, arrived: 0 }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = Instant::now();
        let n = self.inner.read(buffer)?;
        self.waited += start.elapsed();
        self.arrived += n as u64;
        if self.waited >= self.period && n > 0 {
            let rate = self.arrived as f64 / self.waited.as_secs_f64();
            if rate < self.least as f64 {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it sent {rate:.0} bytes per second, and {} are the least", self.least),
                ));
            }
            (self.waited, self.arrived) = (Duration::ZERO, 0);
        }
        Ok(n)
    }
}
