//! Sessions: by which a client that returns is known as the one of an earlier connection. The secret
//! that it returns with is not kept: it states the session and its last connection, and is signed.
//! Knows no socket and no user. A table of eight bytes by the slot of the connection, for those
//! that have a session alone.

use crate::carry::{Carrier, Damaged};
use crate::chance::Chance;
use crate::id::ConnId;
use data_encoding::BASE64URL_NOPAD;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;
use subtle::ConstantTimeEq;

/// All sessions of connections that are open.
pub struct Sessions {
    /// By the slot of the connection; 0: it has no session. Empty while none has one.
    by_slot: Vec<u64>,
    count: usize,
    key: [u8; 16],
    chance: Chance,
}

/// What a token states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Never 0.
    pub session: u64,
    /// The last connection of the session.
    pub connection: ConnId,
    /// The start of the server, in which alone the id names that connection.
    pub epoch: u32,
}

const CLAIM_BYTES: usize = 8 + 8 + 4;
const MAC_BYTES: usize = 16;
const TOKEN_BYTES: usize = CLAIM_BYTES + MAC_BYTES;

/// The length of a token: a multiple of three bytes, so no bit of the last character is unused and
/// each token has one spelling.
pub const TOKEN_CHARS: usize = TOKEN_BYTES / 3 * 4;
const _: () = assert!(TOKEN_BYTES.is_multiple_of(3));

impl Sessions {
    /// `key` signs tokens: the same at each start, so that a client keeps its session. `seed`
    /// decides the numbers of sessions.
    pub fn new(key: &[u8; 32], seed: u64) -> Self {
        Self {
            by_slot: Vec::new(),
            count: 0,
            key: std::array::from_fn(|index| key[index]),
            chance: Chance::new(seed, "sessions"),
        }
    }

    /// The sessions of the connections that are open.
    ///
    /// # Errors
    /// The bytes are not those of sessions.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.field(&mut self.by_slot)?;
        self.count = self.by_slot.iter().filter(|session| **session != 0).count();
        Ok(())
    }

    /// Gives a connection a session of its own and returns its number.
    pub fn begin(&mut self, connection: ConnId) -> u64 {
        let session = self.number();
        self.adopt(connection, session);
        session
    }

    /// The number of a new session, which no connection has yet.
    pub fn number(&mut self) -> u64 {
        1 + self.chance.below(u64::MAX)
    }

    /// Gives a connection the session of an earlier one.
    pub fn adopt(&mut self, connection: ConnId, session: u64) {
        let slot = connection.slot() as usize;
        if slot >= self.by_slot.len() {
            self.by_slot.resize(slot + 1, 0);
        }
        let before = std::mem::replace(&mut self.by_slot[slot], session);
        self.count += usize::from(before == 0);
    }

    /// The session of an open connection; `None`: it has none.
    pub fn of(&self, connection: ConnId) -> Option<u64> {
        let session = self.by_slot.get(connection.slot() as usize).copied();
        session.filter(|session| *session != 0)
    }

    /// The slot of a connection with this session. Looks at all of them.
    pub fn slot_of(&self, session: u64) -> Option<u32> {
        let slot = self.by_slot.iter().position(|one| *one == session)?;
        u32::try_from(slot).ok()
    }

    /// A connection ends. To be called for each, for its slot may be used again by one without a
    /// session.
    pub fn end(&mut self, connection: ConnId) {
        if let Some(session) = self.by_slot.get_mut(connection.slot() as usize) {
            self.count -= usize::from(std::mem::take(session) != 0);
        }
        if self.count == 0 {
            self.by_slot = Vec::new();
        }
    }

    /// How many connections have a session.
    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Gives back the memory of slots behind the last that has a session.
    pub fn shrink(&mut self) {
        let end = self.by_slot.iter().rposition(|session| *session != 0);
        self.by_slot.truncate(end.map_or(0, |last| last + 1));
        self.by_slot.shrink_to_fit();
    }

    /// The secret with which a client may return to a session.
    pub fn token(&self, claim: Claim) -> String {
        let mut token = [0; TOKEN_BYTES];
        let (stated, mac) = token.split_at_mut(CLAIM_BYTES);
        stated[..8].copy_from_slice(&claim.session.to_le_bytes());
        stated[8..16].copy_from_slice(&claim.connection.to_u64().to_le_bytes());
        stated[16..].copy_from_slice(&claim.epoch.to_le_bytes());
        mac.copy_from_slice(&self.sign(stated));
        BASE64URL_NOPAD.encode(&token)
    }

    /// What a token states. `None`: it was not issued with this key.
    pub fn verify(&self, token: &str) -> Option<Claim> {
        if token.len() != TOKEN_CHARS {
            return None;
        }
        let mut bytes = [0; TOKEN_BYTES];
        BASE64URL_NOPAD
            .decode_mut(token.as_bytes(), &mut bytes)
            .ok()?;
        let (stated, mac) = bytes.split_at(CLAIM_BYTES);
        // In constant time: the time of an answer must not depend on how much of a guess was right.
        if !bool::from(self.sign(stated).ct_eq(mac)) {
            return None;
        }
        let (session, rest) = stated.split_first_chunk::<8>()?;
        let (connection, epoch) = rest.split_first_chunk::<8>()?;
        Some(Claim {
            session: u64::from_le_bytes(*session),
            connection: ConnId::from_u64(u64::from_le_bytes(*connection)),
            epoch: u32::from_le_bytes(epoch.try_into().ok()?),
        })
    }

    /// SipHash-2-4 with 128 bits of output: made as a MAC for short inputs, and in the tree for the
    /// hash tables. A forger has one try a request, so 128 bits are more than enough.
    fn sign(&self, stated: &[u8]) -> [u8; MAC_BYTES] {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(stated);
        hasher.finish128().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ConnId = ConnId::new(3, 7);
    const BOB: ConnId = ConnId::new(0, 1);

    fn sessions() -> Sessions {
        Sessions::new(&[9; 32], 1)
    }

    fn claim(session: u64, connection: ConnId) -> Claim {
        Claim {
            session,
            connection,
            epoch: 12,
        }
    }

    #[test]
    fn token_is_verified_as_it_was_issued() {
        for session in [1, 0x0102_0304_0506_0708, u64::MAX] {
            let claim = claim(session, ANN);
            let token = sessions().token(claim);
            assert_eq!(token.len(), TOKEN_CHARS);
            // After a restart with the same key, too.
            assert_eq!(sessions().verify(&token), Some(claim));
        }
    }

    #[test]
    fn token_is_one_word_of_a_url() {
        let token = sessions().token(claim(u64::MAX, ANN));
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!(token.bytes().all(is_safe), "{token}");
    }

    #[test]
    fn token_with_one_character_changed_is_refused() {
        let sessions = sessions();
        let token = sessions.token(claim(5, ANN));
        for at in 0..token.len() {
            for other in ["A", "B", "-", "_", "=", " ", "+", "é"] {
                let mut forged = token.clone();
                if token[at..].starts_with(other) || at + other.len() > token.len() {
                    continue;
                }
                forged.replace_range(at..at + other.len(), other);
                assert_eq!(sessions.verify(&forged), None, "{forged}");
            }
        }
    }

    #[test]
    fn token_that_is_cut_or_longer_is_refused() {
        let sessions = sessions();
        let token = sessions.token(claim(5, ANN));
        for length in 0..token.len() {
            assert_eq!(sessions.verify(&token[..length]), None, "{length}");
        }
        for more in ["A", "AAAA", "=", "\0"] {
            assert_eq!(sessions.verify(&format!("{token}{more}")), None);
        }
    }

    #[test]
    fn halves_of_two_tokens_are_no_token() {
        let sessions = sessions();
        let [ann, bob] = [ANN, BOB].map(|connection| sessions.token(claim(5, connection)));
        for cut in 1..TOKEN_CHARS {
            let swapped = format!("{}{}", &ann[..cut], &bob[cut..]);
            if swapped != ann && swapped != bob {
                assert_eq!(sessions.verify(&swapped), None, "{cut}");
            }
        }
    }

    #[test]
    fn token_of_another_key_is_refused() {
        let token = Sessions::new(&[8; 32], 1).token(claim(5, ANN));
        assert_eq!(sessions().verify(&token), None);
    }

    #[test]
    fn two_connections_have_two_sessions_until_they_end() {
        let mut sessions = sessions();
        let (ann, bob) = (sessions.begin(ANN), sessions.begin(BOB));
        assert_ne!(ann, bob);
        assert_eq!((sessions.of(ANN), sessions.of(BOB)), (Some(ann), Some(bob)));
        assert_eq!(sessions.len(), 2);
        sessions.end(BOB);
        sessions.end(BOB);
        assert_eq!((sessions.of(BOB), sessions.len()), (None, 1));
        sessions.end(ANN);
        assert!(sessions.is_empty());
        assert_eq!(sessions.by_slot.capacity(), 0);
    }

    #[test]
    fn returning_connection_adopts_its_session() {
        let mut sessions = sessions();
        let session = sessions.begin(ANN);
        sessions.begin(BOB);
        sessions.end(ANN);
        sessions.adopt(BOB, session);
        assert_eq!((sessions.of(BOB), sessions.len()), (Some(session), 1));
    }

    #[test]
    fn table_shrinks_to_the_last_session() {
        let mut sessions = sessions();
        sessions.begin(BOB);
        sessions.begin(ConnId::new(10_000, 0));
        sessions.end(ConnId::new(10_000, 0));
        sessions.shrink();
        assert_eq!(sessions.by_slot.capacity(), 1);
    }
}
