//! One call: messages both ways, and the status at its end.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Version};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::frame::{FrameDecoder, FrameError, MAX_MESSAGE};
use super::link::{Link, LinkWatch, of_h2};
use super::paths::Call;
use super::status::{GrpcCode, GrpcStatus, percent_decode};
use super::{authorization, timeout};
use crate::binding::excerpt::excerpt;
use crate::binding::retry::SendOutcome;
use crate::binding::{Error, Server};
use crate::kind::ErrorKind;

/// How often it is looked whether messages keep their pace.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The longest acknowledgement that is accepted, in octets: one of a UUID has 38.
const MAX_ACKNOWLEDGEMENT: usize = 1024;

/// How many messages may wait while one is sent: at most five acknowledgements are due.
const MAX_WAITING: usize = 64;

/// What a call begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallHead<'a> {
    pub(super) call: Call,
    /// The CCA that is shown.
    pub(super) cca: Option<&'a [u8]>,
    /// How long the call may take; `None` without a limit.
    pub(super) within: Option<Duration>,
}

impl CallHead<'_> {
    fn request(&self, server: &Server) -> Result<Request<()>, Error> {
        let uri = format!("https://{}{}", server.authority(), self.call.path());
        let mut request = Request::post(uri)
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", concat!("relay/", env!("CARGO_PKG_VERSION")));
        if let Some(within) = self.within {
            request = request.header(timeout::HEADER, timeout::write(within));
        }
        if let Some(cca) = self.cca {
            let value = HeaderValue::try_from(authorization::write(cca));
            request = value.into_iter().fold(request, |request, mut value| {
                // It stays out of the table of header fields, where its octets would only take room.
                value.set_sensitive(true);
                request.header(authorization::HEADER, value)
            });
        }
        request
            .body(())
            .map_err(|_| Error::NoServer(server.to_string()))
    }
}

/// What comes from the server next.
#[derive(Debug)]
pub(super) enum CallEvent {
    /// A message.
    Message(Bytes),
    /// The call ended.
    Ended(GrpcStatus),
}

enum CallStep {
    Event(CallEvent),
    /// There is room to send.
    Room,
    /// Nothing can be sent any more.
    Closed,
}

enum CallReception {
    Head(ResponseFuture),
    Body(RecvStream),
    Ended(GrpcStatus),
}

/// A call under way.
pub(super) struct ActiveCall<'a> {
    watch: &'a mut LinkWatch,
    sending: SendStream<Bytes>,
    reception: CallReception,
    decoder: FrameDecoder,
    /// Messages that came while one was sent.
    waiting: VecDeque<Bytes>,
    looks: Interval,
    until: Option<(Instant, Duration)>,
}

impl<'a> ActiveCall<'a> {
    /// Begins a call.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(super) async fn begin(
        sender: &mut h2::client::SendRequest<Bytes>,
        watch: &'a mut LinkWatch,
        head: &CallHead<'_>,
    ) -> Result<Self, Error> {
        watch.begin();
        let request = head.request(&watch.server)?;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll_fn(|cx| match sender.poll_ready(cx) {
            Poll::Ready(ready) => Poll::Ready(ready.map_err(|error| of_h2(&watch.server, error))),
            Poll::Pending => poll_watch(&mut looks, watch, cx).map(Err),
        })
        .await?;
        let begun = sender.send_request(request, false);
        let (response, sending) = begun.map_err(|error| of_h2(&watch.server, error))?;
        Ok(Self {
            watch,
            sending,
            reception: CallReception::Head(response),
            decoder: FrameDecoder::new(match head.call {
                Call::Deliver => MAX_ACKNOWLEDGEMENT,
                Call::Collect => MAX_MESSAGE,
            }),
            waiting: VecDeque::new(),
            looks,
            until: head.within.map(|within| (Instant::now() + within, within)),
        })
    }

    /// The server.
    pub(super) fn server(&self) -> &Server {
        &self.watch.server
    }

    /// Another message is waited for.
    pub(super) fn expect(&mut self) {
        self.watch.begin();
    }

    /// The same, for a shorter time than usual.
    pub(super) fn expect_within(&mut self, silence: Duration) {
        let silence = silence.min(self.watch.silence);
        self.watch.begin_within(silence);
    }

    /// Sends a message. Returns whether it was sent: not where the server ended the call or takes nothing more, which
    /// [`ActiveCall::next`] explains after what came before.
    ///
    /// # Errors
    /// When the connection fails, or the message does not keep its pace.
    pub(super) async fn send(&mut self, mut octets: Bytes) -> Result<bool, Error> {
        self.watch.begin();
        while !octets.is_empty() {
            self.sending.reserve_capacity(octets.len());
            let room = self.sending.capacity().min(octets.len());
            if room > 0 {
                let sent = self.sending.send_data(octets.split_to(room), false);
                if sent.is_err() {
                    return Ok(false);
                }
                self.watch.hand(room);
                continue;
            }
            match poll_fn(|cx| self.poll_step(cx, true)).await? {
                CallStep::Room => {}
                CallStep::Closed | CallStep::Event(CallEvent::Ended(_)) => return Ok(false),
                CallStep::Event(CallEvent::Message(message)) => {
                    self.waiting.push_back(message);
                    if self.waiting.len() > MAX_WAITING {
                        return Err(self.protocol("it sends more than it was asked for"));
                    }
                }
            }
        }
        self.watch.begin();
        Ok(true)
    }

    /// Says that nothing more is sent.
    pub(super) fn half_close(&mut self) {
        // If that fails, the call has ended, which is seen next.
        let _ = self.sending.send_data(Bytes::new(), true);
    }

    /// Ends the call at once.
    pub(super) fn cancel(&mut self) {
        self.sending.send_reset(Reason::CANCEL);
    }

    /// What comes next.
    ///
    /// # Errors
    /// When the connection fails, nothing comes for too long, or what comes breaks the protocol.
    pub(super) async fn next(&mut self) -> Result<CallEvent, Error> {
        loop {
            if let CallStep::Event(event) = poll_fn(|cx| self.poll_step(cx, false)).await? {
                return Ok(event);
            }
        }
    }

    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        wants_room: bool,
    ) -> Poll<Result<CallStep, Error>> {
        if !wants_room && let Some(message) = self.waiting.pop_front() {
            return Poll::Ready(Ok(CallStep::Event(CallEvent::Message(message))));
        }
        loop {
            let message = self.decoder.next_message();
            match message.map_err(|error| self.bad_frame(error)) {
                Err(error) => return Poll::Ready(Err(error)),
                Ok(Some(message)) => {
                    return Poll::Ready(Ok(CallStep::Event(CallEvent::Message(message))));
                }
                Ok(None) => {}
            }
            match self.poll_octets(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Some(status))) => {
                    let event = CallEvent::Ended(status);
                    return Poll::Ready(Ok(CallStep::Event(event)));
                }
                Poll::Ready(Ok(None)) => {}
            }
        }
        if wants_room {
            match self.sending.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => return Poll::Ready(Ok(CallStep::Room)),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Ok(CallStep::Closed)),
                Poll::Pending => {}
            }
        }
        if let Some((until, waited)) = self.until
            && Instant::now() >= until
        {
            let server = self.watch.server.to_string();
            return Poll::Ready(Err(Error::Slow { server, waited }));
        }
        poll_watch(&mut self.looks, self.watch, cx).map(Err)
    }

    /// Takes octets of messages, or the status of a call that ended.
    fn poll_octets(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<GrpcStatus>, Error>> {
        let server = self.watch.server.clone();
        match &mut self.reception {
            CallReception::Ended(status) => return Poll::Ready(Ok(Some(status.clone()))),
            CallReception::Head(response) => {
                let Poll::Ready(response) = Pin::new(response).poll(cx) else {
                    return Poll::Pending;
                };
                let response = response.map_err(|error| of_h2(&server, error))?;
                self.watch.note_use();
                check_head(&server, &response)?;
                self.reception = match status_of(response.headers()) {
                    Some(status) => CallReception::Ended(status),
                    None => CallReception::Body(response.into_body()),
                };
            }
            CallReception::Body(body) => match body.poll_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(octets)) => {
                    let octets = octets.map_err(|error| of_h2(&server, error))?;
                    let released = body.flow_control().release_capacity(octets.len());
                    released.map_err(|error| of_h2(&server, error))?;
                    if !octets.is_empty() {
                        self.watch.note_use();
                    }
                    self.decoder.feed(octets);
                }
                Poll::Ready(None) => {
                    let Poll::Ready(trailers) = body.poll_trailers(cx) else {
                        return Poll::Pending;
                    };
                    let trailers = trailers.map_err(|error| of_h2(&server, error))?;
                    let status = trailers.as_ref().and_then(status_of);
                    // gRPC has clients take it so.
                    let none =
                        || GrpcStatus::with_text(GrpcCode::Unknown, "it ended without a status");
                    let finished = self.decoder.finish();
                    finished.map_err(|error| self.bad_frame(error))?;
                    self.reception = CallReception::Ended(status.unwrap_or_else(none));
                }
            },
        }
        Poll::Ready(Ok(None))
    }

    /// The error for what breaks the protocol.
    pub(super) fn protocol(&self, problem: &str) -> Error {
        Error::Protocol {
            server: self.watch.server.to_string(),
            problem: problem.to_owned(),
        }
    }

    pub(super) fn bad_frame(&self, error: FrameError) -> Error {
        self.protocol(&error.to_string())
    }

    /// How a call ended, as a result.
    ///
    /// # Errors
    /// For every status but OK.
    pub(super) fn result_of(&self, status: GrpcStatus) -> Result<(), Error> {
        let kind = match SendOutcome::of_grpc(status.code) {
            SendOutcome::Accepted => return Ok(()),
            SendOutcome::RefusedForGood => ErrorKind::Refused,
            SendOutcome::Later(kind) => kind,
        };
        Err(Error::Grpc {
            server: self.watch.server.to_string(),
            code: status.code,
            text: status.text.map(|text| excerpt(text.as_bytes())),
            kind,
        })
    }
}

/// Looks now and then whether messages keep their pace. Ready when they do not.
fn poll_watch(looks: &mut Interval, watch: &mut LinkWatch, cx: &mut Context<'_>) -> Poll<Error> {
    while looks.poll_tick(cx).is_ready() {
        if let Err(error) = watch.check() {
            return Poll::Ready(error);
        }
    }
    Poll::Pending
}

/// Checks that an answer is one of gRPC.
fn check_head<T>(server: &Server, response: &http::Response<T>) -> Result<(), Error> {
    let status = response.status().as_u16();
    let headers = response.headers();
    if status != 200 {
        let SendOutcome::Later(kind) = SendOutcome::of_http_without_grpc(status) else {
            return Ok(());
        };
        return Err(Error::Answer {
            server: server.to_string(),
            status,
            text: String::new(),
            kind,
            retry_after: None,
        });
    }
    let kind = headers.get("content-type").map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        return Ok(());
    }
    Err(Error::Protocol {
        server: server.to_string(),
        problem: "its answer is not gRPC".to_owned(),
    })
}

/// The status in headers or trailers; `None` without one.
fn status_of(headers: &HeaderMap) -> Option<GrpcStatus> {
    let code = headers.get("grpc-status")?.to_str().unwrap_or_default();
    let text = headers.get("grpc-message");
    Some(GrpcStatus {
        code: GrpcCode::parse(code),
        text: text.map(|text| percent_decode(text.as_bytes())),
    })
}

/// The parts of a connection that a call borrows.
pub(super) fn parts(
    link: &mut Link,
) -> (
    &tokio::runtime::Runtime,
    &mut h2::client::SendRequest<Bytes>,
    &mut LinkWatch,
) {
    (&link.runtime, &mut link.sender, &mut link.watch)
}
