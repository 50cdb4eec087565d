//! Small frames that are ready at once, in one message: each message costs both sides and the browser between them more
//! than a small frame does.

use super::frame::{ALIGNMENT, FrameError, align};
use bytes::Bytes;

/// Larger frames go alone: copying them would cost more than a message.
const LARGEST_BUNDLED: usize = 16 << 10;

/// The most that one message carries of small frames.
const LARGEST_BUNDLE: usize = 64 << 10;

/// What a bundle starts with, where a frame has the length of its header.
const MARK: [u8; 4] = [0; 4];

/// Frames on their way into messages.
#[derive(Default)]
pub(super) struct Bundler {
    frames: Vec<Bytes>,
    bytes: usize,
}

impl Bundler {
    /// Whether the next frame goes into the same message as those before it.
    pub(super) fn has_room_for(&self, frame: &Bytes) -> bool {
        self.frames.is_empty() || frame.len() <= LARGEST_BUNDLED && self.bytes + frame.len() <= LARGEST_BUNDLE
    }

    pub(super) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push(frame);
    }

    /// The message of the frames so far, of which there is at least one. A single one is its own message.
    pub(super) fn take(&mut self) -> Bytes {
        let (frames, bytes) = (std::mem::take(&mut self.frames), std::mem::take(&mut self.bytes));
        match <[Bytes; 1]>::try_from(frames) {
            Ok([frame]) => frame,
            Err(frames) => join(&frames, bytes),
        }
    }
}

fn join(frames: &[Bytes], bytes: usize) -> Bytes {
    let mut message = Vec::with_capacity(ALIGNMENT + bytes + 2 * ALIGNMENT * frames.len());
    message.extend_from_slice(&MARK);
    for frame in frames {
        message.resize(align(message.len()), 0);
        // None is larger than a bundle.
        message.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
        message.resize(align(message.len()), 0);
        message.extend_from_slice(frame);
    }
    message.into()
}

/// The frames of a message, as views of it.
pub(super) fn split(message: Bytes) -> Result<Vec<Bytes>, FrameError> {
    if message.get(..MARK.len()) != Some(&MARK) {
        return Ok(vec![message]);
    }
    let mut frames = Vec::new();
    let mut at = ALIGNMENT;
    while at < message.len() {
        let length = message.get(at..).and_then(<[u8]>::first_chunk::<4>);
        let start = at + ALIGNMENT;
        let end = length.map(|length| start.saturating_add(u32::from_le_bytes(*length) as usize));
        let Some(end) = end.filter(|end| *end <= message.len()) else {
            return Err(FrameError::Bundle { what: format!("it ends within its frame {}", frames.len() + 1) });
        };
        frames.push(message.slice(start..end));
        at = align(end);
    }
    if frames.is_empty() {
        return Err(FrameError::Bundle { what: "there is no frame in it".to_owned() });
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(frames: &[Bytes]) -> Vec<Bytes> {
        let mut bundler = Bundler::default();
        let mut messages = Vec::new();
        for frame in frames {
            if !bundler.has_room_for(frame) {
                messages.push(bundler.take());
            }
            bundler.push(frame.clone());
        }
        messages.push(bundler.take());
        messages
    }

    #[test]
    fn what_is_bundled_comes_out_as_it_went_in() {
        let sizes = [9, 24, 16 << 10, 17, (16 << 10) + 1, 30, 20 << 10, 16 << 10, 16 << 10, 16 << 10, 16 << 10, 8];
        let frames: Vec<Bytes> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8 + 1; *size].into()).collect();
        let messages = messages(&frames);
        assert!(messages.len() < frames.len());
        assert!(messages.iter().all(|message| message.len() <= LARGEST_BUNDLE + 1024));
        let again: Vec<Bytes> = messages.into_iter().flat_map(|message| split(message).unwrap()).collect();
        assert_eq!(again, frames);
    }

    #[test]
    fn one_frame_is_its_own_message() {
        let frame = Bytes::from_static(b"\x01\0\0\0{...");
        assert_eq!(messages(std::slice::from_ref(&frame)), [frame]);
    }
}
