//! Asks the server once a second, does what the administrator orders, and opens a connection that is lost again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use pop3d_protocol::peep::{Failure, Reply, Request};
use pop3d_protocol::text::one_line;

use crate::exit::Exit;
use crate::link::{Credentials, Link, Outcome, Target, known};

/// The time between two polls.
const PERIOD: Duration = Duration::from_secs(1);

/// The pause before the first attempt to connect again; each one after it is twice as long, up to a limit.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Transforms whose statistics are asked for: more would make each poll long, and fit no screen.
const TRANSFORMS_MAX: usize = 50;

/// What the server said in one poll. What it does not know is none.
pub(super) struct Snapshot {
    pub(super) at: Instant,
    pub(super) version: Option<String>,
    pub(super) uptime: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) connections: Option<u64>,
    pub(super) octets: Option<u64>,
    pub(super) messages: Option<u64>,
    pub(super) logins: Option<u64>,
    pub(super) sessions: Option<Vec<Session>>,
    /// Who is logged in, where sessions are not told.
    pub(super) users: Vec<String>,
    pub(super) transforms: Option<Vec<Transform>>,
    pub(super) chain: Vec<String>,
}

/// A line of `s?`.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) address: String,
    pub(super) state: String,
    pub(super) seconds: u64,
    pub(super) octets: u64,
}

/// A line of `tfl?`, and what `tfs?` adds.
#[derive(Clone)]
pub(super) struct Transform {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) generation: u64,
    /// Of the keys of `draw.rs`; 0 where the server does not tell one.
    pub(super) counts: Vec<(String, u64)>,
}

impl Transform {
    /// A count by its key.
    pub(super) fn count(&self, key: &str) -> u64 {
        self.counts.iter().find(|(known, _)| known == key).map_or(0, |(_, count)| *count)
    }
}

/// What the administrator wants done.
pub(super) enum Order {
    /// Close a session.
    Kick(u64),
    /// Set the chain.
    Chain(String),
    /// Try to connect at once.
    Connect,
}

/// What the screen is told.
pub(super) enum News {
    /// A poll.
    Polled(Box<Snapshot>),
    /// An order was done, or not.
    Said(Result<String, String>),
    /// There is no connection; the next attempt is after the pause.
    Lost { why: String, pause: Duration },
    /// There will be none.
    Ended(Exit),
}

/// The thread that asks.
pub(super) struct Poller {
    target: Target,
    credentials: Option<Credentials>,
    orders: Receiver<Order>,
    news: Sender<News>,
}

/// Why a thread that asks stops asking.
enum Stop {
    /// Nobody listens to the news.
    Unheard,
    Lost(Exit),
}

impl From<Exit> for Stop {
    fn from(exit: Exit) -> Self {
        Self::Lost(exit)
    }
}

impl Poller {
    /// A thread's work, for a server that may have to be reached again.
    pub(super) fn new(
        target: Target,
        credentials: Option<Credentials>,
        orders: Receiver<Order>,
        news: Sender<News>,
    ) -> Self {
        Self { target, credentials, orders, news }
    }

    /// Asks until nobody listens, or the server does not take the administrator any more.
    pub(super) fn run(self, mut link: Link) {
        loop {
            let Err(Stop::Lost(exit)) = self.ask(&mut link) else { return };
            match self.connect(exit) {
                Ok(again) => link = again,
                Err(Stop::Unheard) => return,
                Err(Stop::Lost(exit)) => return drop(self.news.send(News::Ended(exit))),
            }
        }
    }

    fn tell(&self, news: News) -> Result<(), Stop> {
        self.news.send(news).map_err(|_| Stop::Unheard)
    }

    fn ask(&self, link: &mut Link) -> Result<(), Stop> {
        loop {
            let next = Instant::now() + PERIOD;
            let snapshot = snapshot(link)?;
            self.tell(News::Polled(Box::new(snapshot)))?;
            match self.orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(order) => {
                    if let Some(said) = obey(link, &order)? {
                        self.tell(News::Said(said))?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Stop::Unheard),
            }
        }
    }

    /// Connects again, with growing pauses.
    fn connect(&self, lost: Exit) -> Result<Link, Stop> {
        let mut pause = FIRST_PAUSE;
        let mut exit = lost;
        loop {
            if matches!(exit, Exit::NotPermitted(_)) {
                // A password that is wrong does not become right by repeating it.
                return Err(Stop::Lost(exit));
            }
            // What to do about it, which follows, is being done.
            let why = exit.to_string();
            let why = one_line(why.split(';').next().unwrap_or_default());
            self.tell(News::Lost { why, pause })?;
            self.pause(pause)?;
            match Link::open(&self.target, self.credentials.as_ref()) {
                Ok(link) => return Ok(link),
                Err(again) => exit = again,
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn pause(&self, pause: Duration) -> Result<(), Stop> {
        let end = Instant::now() + pause;
        loop {
            match self.orders.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Order::Connect) | Err(RecvTimeoutError::Timeout) => return Ok(()),
                Ok(Order::Kick(_) | Order::Chain(_)) => {
                    self.tell(News::Said(Err("there is no connection".into())))?;
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Stop::Unheard),
            }
        }
    }
}

/// Does an order; what is to be said of it.
fn obey(link: &mut Link, order: &Order) -> Result<Option<Result<String, String>>, Exit> {
    let (request, done) = match order {
        Order::Kick(id) => {
            (Request::new("k", &[id.to_string().as_bytes()]), format!("session {id} is closed"))
        }
        Order::Chain(chain) => {
            (Request::new("tf=", &[chain.as_bytes()]), format!("the chain is \"{chain}\""))
        }
        Order::Connect => return Ok(None),
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return Ok(Some(Err(error.to_string()))),
    };
    let outcome = link.ask(&request)?;
    Ok(Some(outcome.map(|_| done).map_err(|failure: Failure| failure.to_string())))
}

/// Asks for everything that the screen shows, as far as the server knows it.
fn snapshot(link: &mut Link) -> Result<Snapshot, Exit> {
    let mut asked = vec!["c?", "cc?", "rb?", "re?", "hu?"];
    asked.push(if link.knows("s?") { "s?" } else { "cu?" });
    asked.extend(["v?", "up?", "tfl?", "tf?"].into_iter().filter(|commencement| link.knows(commencement)));
    let requests: Vec<Request> = asked.iter().map(|commencement| known(commencement)).collect();
    let mut outcomes = Vec::new();
    link.ask_all(&requests, &mut outcomes)?;
    let of = |commencement: &str| -> Option<&Reply> {
        let place = asked.iter().position(|asked| *asked == commencement)?;
        outcomes.get(place)?.as_ref().ok()
    };
    let mut snapshot = Snapshot {
        at: Instant::now(),
        version: of("v?").and_then(text),
        uptime: of("up?").and_then(number),
        limit: of("c?").and_then(number),
        connections: of("cc?").and_then(number),
        octets: of("rb?").and_then(number),
        messages: of("re?").and_then(number),
        logins: of("hu?").and_then(number),
        sessions: of("s?").map(|reply| lines(reply).iter().filter_map(|line| session(line)).collect()),
        users: of("cu?")
            .map(|reply| lines(reply).iter().map(|user| one_line(user)).collect())
            .unwrap_or_default(),
        transforms: of("tfl?").map(|reply| lines(reply).iter().filter_map(|line| transform(line)).collect()),
        chain: of("tf?")
            .map(|reply| lines(reply).iter().map(|name| one_line(name)).collect())
            .unwrap_or_default(),
    };
    count(link, snapshot.transforms.as_deref_mut().unwrap_or_default())?;
    Ok(snapshot)
}

/// Adds what `tfs?` tells.
fn count(link: &mut Link, transforms: &mut [Transform]) -> Result<(), Exit> {
    let asked: Vec<(&mut Transform, Request)> = transforms
        .iter_mut()
        .take(TRANSFORMS_MAX)
        .filter_map(|transform| {
            let request = Request::new("tfs?", &[transform.name.as_bytes()]).ok()?;
            Some((transform, request))
        })
        .collect();
    let mut outcomes: Vec<Outcome> = Vec::new();
    link.ask_all(asked.iter().map(|(_, request)| request), &mut outcomes)?;
    for ((transform, _), outcome) in asked.into_iter().zip(outcomes) {
        let Ok(Reply::Lines(lines)) = outcome else { continue };
        let pairs = lines.iter().filter_map(|line| line.rsplit_once(' '));
        transform.counts =
            pairs.filter_map(|(key, count)| Some((key.to_owned(), count.parse().ok()?))).collect();
    }
    Ok(())
}

fn number(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Integer(number) => Some(*number),
        Reply::Done | Reply::Text(_) | Reply::Lines(_) => None,
    }
}

fn text(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Text(text) => Some(one_line(text)),
        Reply::Done | Reply::Integer(_) | Reply::Lines(_) => None,
    }
}

fn lines(reply: &Reply) -> &[String] {
    match reply {
        Reply::Lines(lines) => lines,
        Reply::Done | Reply::Integer(_) | Reply::Text(_) => &[],
    }
}

fn session(line: &str) -> Option<Session> {
    let mut words = line.split(' ');
    Some(Session {
        id: words.next()?.parse().ok()?,
        user: one_line(words.next()?),
        address: one_line(words.next()?),
        state: one_line(words.next()?),
        seconds: words.next()?.parse().ok()?,
        octets: words.next()?.parse().ok()?,
    })
}

fn transform(line: &str) -> Option<Transform> {
    let mut words = line.split(' ');
    Some(Transform {
        name: one_line(words.next()?),
        kind: one_line(words.next()?),
        state: one_line(words.next()?),
        generation: words.next()?.parse().ok()?,
        counts: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_another_form_are_left_out() {
        assert!(session("7 bob 192.0.2.1 TRANSACTION 5 123456 and-more").is_some());
        for line in ["", "x bob 192.0.2.1 TRANSACTION 5 1", "7 bob 192.0.2.1 TRANSACTION 5"] {
            assert!(session(line).is_none(), "{line}");
        }
        assert_eq!(transform("banner wasm ready 3").unwrap().count("messages"), 0);
        assert!(transform("banner wasm ready").is_none());
    }
}
