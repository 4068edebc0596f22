//! `top`: a screen that shows what a server does, once a second.
//!
//! `poll.rs` asks, on a thread of its own; `board.rs` is what is known and chosen; `keys.rs` what keys do; `draw.rs` what
//! it looks like. A connection that is lost is opened again.

mod board;
mod draw;
mod keys;
mod poll;

use std::io;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::board::Board;
use self::keys::Wish;
use self::poll::{News, Order, Poller};
use crate::exit::Exit;
use crate::link::{Credentials, Link, Target};
use crate::terminal::Watch;

/// The longest wait for a key: so soon are news shown and signals obeyed.
const TICK: Duration = Duration::from_millis(100);

/// Shows the server until the administrator leaves. Every way out leaves the terminal as it was; a panic too.
///
/// # Errors
/// Where the server cannot be reached at first, or does not take the administrator any more.
pub(crate) fn run(target: &Target, credentials: Option<Credentials>, signals: &Watch) -> Result<(), Exit> {
    let link = Link::open(target, credentials.as_ref())?;
    let mut board = Board::new(target.to_string());
    let (orders, taken) = mpsc::channel();
    let (told, news) = mpsc::channel();
    let poller = Poller::new(target.clone(), credentials, taken, told);
    // Ends with the program: it may be waiting for a server that does not answer.
    thread::Builder::new()
        .name("poll".into())
        .spawn(move || poller.run(link))
        .map_err(|error| Exit::System(format!("cannot start a thread: {error}")))?;
    signals.leave();
    let mut screen = ratatui::try_init().map_err(|error| no_terminal(&error))?;
    let result = watch(&mut screen, &mut board, &news, &orders, signals);
    let _ = screen.show_cursor();
    let restored = ratatui::try_restore().map_err(|error| no_terminal(&error));
    result.and(restored)
}

fn watch(
    screen: &mut DefaultTerminal,
    board: &mut Board,
    news: &Receiver<News>,
    orders: &Sender<Order>,
    signals: &Watch,
) -> Result<(), Exit> {
    loop {
        screen.draw(|frame| draw::draw(frame, board, Instant::now())).map_err(|error| no_terminal(&error))?;
        if event::poll(TICK).map_err(|error| no_terminal(&error))?
            && let Event::Key(key) = event::read().map_err(|error| no_terminal(&error))?
            && key.kind != KeyEventKind::Release
        {
            match board.handle_key(key) {
                Some(Wish::Leave) => return Ok(()),
                // Who takes orders has ended only where the news say so.
                Some(Wish::Order(order)) => drop(orders.send(order)),
                None => {}
            }
        }
        loop {
            match news.try_recv() {
                Ok(News::Ended(exit)) => return Err(exit),
                Ok(news) => board.handle_news(news),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(Exit::System("the poll thread has ended".into()));
                }
            }
        }
        if let Some(signal) = signals.signal() {
            return Err(Exit::Signal(signal));
        }
    }
}

fn no_terminal(error: &io::Error) -> Exit {
    Exit::Lost(format!("the terminal is lost: {error}"))
}
