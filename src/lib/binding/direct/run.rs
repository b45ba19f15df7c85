//! Posts all that waits for recipients on the Internet.

use std::sync::Mutex;
use std::time::Instant;

use super::destination::destinations;
use super::posting::DirectPosting;
use super::turns::{Turn, TurnEnd, Turns};
use super::{DirectContext, DirectReport};
use crate::binding::Error;
use crate::pipeline::mutex::lock;

/// The most connections at a time, each to another address.
const MAX_CONNECTIONS: usize = 5;

/// Posts what waits now. Reports to `each`, from several threads.
///
/// # Errors
/// When the spool cannot be read or changed, or `each` failed.
pub fn post_waiting<E: From<Error> + Send>(
    context: &DirectContext<'_>,
    each: DirectReport<'_, E>,
) -> Result<(), E> {
    let waiting = destinations(context.spool, each)?.into_iter();
    let waiting = waiting.map(|it| DirectPosting::new(context, it, each));
    let turns = Mutex::new(Turns::new(waiting.collect()));
    let work = || serve(context, &turns);
    let threads = lock(&turns).len().min(MAX_CONNECTIONS);
    if threads < 2 {
        return work();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = Ok(());
        for thread in threads {
            let worked = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended = ended.and(worked);
        }
        ended
    })
}

/// Serves one address after another, until none waits.
fn serve<E: From<Error>>(
    context: &DirectContext<'_>,
    turns: &Mutex<Turns<DirectPosting<'_, E>>>,
) -> Result<(), E> {
    loop {
        let next = lock(turns).next();
        let Some((mut posting, is_slow)) = next else {
            // Who is put back while others are served is taken by the thread that puts it back.
            return Ok(());
        };
        let turn = Turn {
            limits: context.turns,
            began: Instant::now(),
            is_slow,
            others_wait: &|| lock(turns).is_anyone_waiting(is_slow),
        };
        match posting.take_turn(&turn) {
            Ok(TurnEnd::Done) => {}
            Ok(end) => {
                let is_slow = is_slow || end == TurnEnd::Overtaken;
                lock(turns).put_back(posting, is_slow);
            }
            Err(error) => {
                // No other thread begins with another one.
                lock(turns).end();
                return Err(error);
            }
        }
    }
}
