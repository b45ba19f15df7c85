//! The medium that a courier keeps what it carries on: who may put how much there, and what leaves it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::context::CourierEvent;
use crate::medium::{self, Medium, MediumFile, PassingMessage};
use crate::pipeline::mutex::lock;
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::serve::Error;
use crate::verify::Policy;

/// How long cargo stays after its receipt was acknowledged.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How often it is looked what may leave.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// How long a survey of the medium counts: other programs may change it.
const SURVEY_FOR: Duration = Duration::from_secs(30);

/// The most requests that are kept.
const MAX_REQUESTS: usize = 4096;

/// How often room is made at most: that reads the whole medium.
const ROOM_EVERY: Duration = Duration::from_secs(60);

/// What a file takes besides its octets: what file systems round up to.
const OVERHEAD: u64 = 64 * 1024;

/// How much is on the medium.
struct Survey {
    at: Instant,
    /// The gateways that asked or were asked: those that a courier has a reason to know.
    known: HashSet<NodeId>,
    /// The octets of all messages, and of those for other gateways.
    held: u64,
    of_strangers: u64,
    /// The requests, and their octets.
    requests: usize,
    of_requests: u64,
}

/// The medium of a courier.
pub(super) struct CourierStore<'a> {
    medium: &'a Medium,
    /// The most octets of messages on it.
    quota: Option<u64>,
    survey: Mutex<Option<Survey>>,
    swept: Mutex<Option<Instant>>,
    /// When room was last made.
    made_room: Mutex<Option<Instant>>,
}

impl<'a> CourierStore<'a> {
    pub(super) fn new(medium: &'a Medium, quota: Option<u64>) -> Self {
        Self {
            medium,
            quota,
            survey: Mutex::default(),
            swept: Mutex::default(),
            made_room: Mutex::default(),
        }
    }

    /// Stores cargo, durably. `None` if there is no room for it, else whether it was new here.
    ///
    /// # Errors
    /// When the medium cannot be read or changed.
    pub(super) fn store(
        &self,
        cargo: &PassingMessage,
        policy: &Policy,
        report: &dyn Fn(CourierEvent),
    ) -> Result<Option<bool>, Error> {
        let mut survey = lock(&self.survey);
        if survey
            .as_ref()
            .is_none_or(|it| it.at.elapsed() >= SURVEY_FOR)
        {
            *survey = Some(self.survey()?);
        }
        let len = cargo.octets().len() as u64;
        if !self.has_room(survey.as_ref(), cargo.recipient, len)? {
            let mut made_room = lock(&self.made_room);
            if made_room.is_some_and(|at| at.elapsed() < ROOM_EVERY) {
                return Ok(None);
            }
            *made_room = Some(Instant::now());
            self.make_room(len, policy, report)?;
            *survey = Some(self.survey()?);
            if !self.has_room(survey.as_ref(), cargo.recipient, len)? {
                return Ok(None);
            }
        }
        let is_new = self.medium.store(cargo)?;
        if is_new && let Some(survey) = survey.as_mut() {
            survey.held += len;
            if !survey.known.contains(&cargo.recipient) {
                survey.of_strangers += len;
            }
        }
        Ok(Some(is_new))
    }

    /// Whether there is room for a request. Anybody can make one, so they get an eighth of all, and are counted.
    ///
    /// # Errors
    /// When the medium cannot be read.
    pub(super) fn has_room_for_request(&self, request: &PassingMessage) -> Result<bool, Error> {
        let mut survey = lock(&self.survey);
        let survey = match survey.as_mut() {
            Some(survey) if survey.at.elapsed() < SURVEY_FOR => survey,
            _ => survey.insert(self.survey()?),
        };
        let len = request.octets().len() as u64;
        let free = self.medium.free_space()?;
        let allowed = self
            .quota
            .map_or(u64::MAX, |quota| quota.saturating_sub(survey.held));
        let all = free.min(allowed).saturating_add(survey.of_requests);
        let fits = len <= allowed
            && len.saturating_add(OVERHEAD) <= free
            && survey.of_requests.saturating_add(len) <= all / 8
            && survey.requests < MAX_REQUESTS;
        if fits {
            survey.requests += 1;
            survey.of_requests += len;
            survey.held += len;
            survey.known.extend([request.recipient, request.sender]);
        }
        Ok(fits)
    }

    fn survey(&self) -> Result<Survey, Error> {
        let mut survey = Survey {
            at: Instant::now(),
            known: HashSet::new(),
            held: 0,
            of_strangers: 0,
            requests: 0,
            of_requests: 0,
        };
        for asked in self.medium.recipients(Kind::Cca)?.0 {
            let mut files = self.medium.files_for(Kind::Cca, asked)?;
            while let Some(file) = files.next_message()? {
                survey.known.extend([file.recipient, file.sender]);
                survey.held += file.len;
                survey.of_requests += file.len;
                survey.requests += 1;
            }
        }
        for recipient in self.medium.recipients(Kind::Cargo)?.0 {
            let is_known = survey.known.contains(&recipient);
            let mut files = self.medium.files_for(Kind::Cargo, recipient)?;
            while let Some(file) = files.next_message()? {
                survey.held += file.len;
                if !is_known {
                    survey.of_strangers += file.len;
                }
            }
        }
        Ok(survey)
    }

    /// Whether there is room for so many octets. Signatures cost nothing, so who nobody asked for gets half of all at most.
    fn has_room(
        &self,
        survey: Option<&Survey>,
        recipient: NodeId,
        len: u64,
    ) -> Result<bool, Error> {
        let Some(survey) = survey else {
            return Ok(false);
        };
        let free = self.medium.free_space()?;
        let allowed = self
            .quota
            .map_or(u64::MAX, |quota| quota.saturating_sub(survey.held));
        let needed = len.saturating_add(OVERHEAD);
        if needed > free || len > allowed {
            return Ok(false);
        }
        if survey.known.contains(&recipient) {
            return Ok(true);
        }
        let all = free.min(allowed).saturating_add(survey.held);
        Ok(survey.of_strangers.saturating_add(len) <= all / 2)
    }

    /// Removes what was taken, the earliest first, and then what has expired, until so many octets are free.
    fn make_room(
        &self,
        len: u64,
        policy: &Policy,
        report: &dyn Fn(CourierEvent),
    ) -> Result<(), Error> {
        let mut needed = len.saturating_add(OVERHEAD);
        let mut taken = self.taken()?;
        taken.sort_by_key(|(date, file)| (*date, file.sha256));
        for (_, file) in taken {
            if needed == 0 {
                return Ok(());
            }
            needed = needed.saturating_sub(file.len);
            self.remove(file, report)?;
        }
        for recipient in self.medium.recipients(Kind::Cargo)?.0 {
            let mut expired = Vec::new();
            self.medium
                .waiting(Kind::Cargo, recipient, policy, &mut |file, error| {
                    if error.kind() == crate::kind::ErrorKind::Expired {
                        expired.push(file);
                    }
                })?;
            for file in expired {
                if needed == 0 {
                    return Ok(());
                }
                needed = needed.saturating_sub(file.len);
                self.remove(file, report)?;
            }
        }
        Ok(())
    }

    /// The cargo that was taken, and when.
    fn taken(&self) -> Result<Vec<(Timestamp, MediumFile)>, medium::Error> {
        let mut taken = Vec::new();
        for recipient in self.medium.recipients(Kind::Cargo)?.0 {
            let marks = self.medium.taken(recipient)?;
            if marks.is_empty() {
                continue;
            }
            let mut files = self.medium.files_for(Kind::Cargo, recipient)?;
            while let Some(file) = files.next_message()? {
                if let Some(mark) = marks.get(&file.sha256) {
                    taken.push((mark.date, file));
                }
            }
        }
        Ok(taken)
    }

    fn remove(&self, file: MediumFile, report: &dyn Fn(CourierEvent)) -> Result<(), Error> {
        self.medium.remove(&file)?;
        report(CourierEvent::Freed(file));
        Ok(())
    }

    /// Removes what was taken a day ago, from time to time.
    ///
    /// # Errors
    /// When the medium cannot be read or changed.
    pub(super) fn sweep(&self, now: Timestamp, report: &dyn Fn(CourierEvent)) -> Result<(), Error> {
        let mut swept = lock(&self.swept);
        if swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return Ok(());
        }
        *swept = Some(Instant::now());
        for (date, file) in self.taken()? {
            if now.duration_since(date) >= KEPT_FOR {
                self.remove(file, report)?;
            }
        }
        Ok(())
    }
}
