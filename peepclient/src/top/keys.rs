//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::board::{Board, Focus, Mode, SESSION_COLUMNS, Sorting, TRANSFORM_COLUMNS};
use super::poll::Order;

/// Rows that a key for a page moves by.
const PAGE: isize = 10;

/// Longest chain that is typed: an argument of the protocol.
const CHAIN_MAX: usize = pop3d_protocol::peep::ARGUMENT_MAX;

/// The keys, as the screen's help shows them.
pub(super) const KEYS: [(&str, &str); 10] = [
    ("↑ ↓ PgUp PgDn Home End", "choose a row"),
    ("Tab", "the other table"),
    ("← →", "sort by another column"),
    ("r", "sort the other way round"),
    ("k", "close the chosen session, without removing messages"),
    ("t", "switch the chain of transforms"),
    ("c", "connect at once, where the connection is lost"),
    ("?", "this help"),
    ("q Esc", "leave"),
    ("Ctrl-C", "leave, also while something is asked"),
];

/// What a key asks for beyond the board.
pub(super) enum Wish {
    Leave,
    Order(Order),
}

impl Board {
    /// Takes a key.
    pub(super) fn handle_key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Some(Wish::Leave);
        }
        match std::mem::replace(&mut self.mode, Mode::Watching) {
            Mode::Watching => self.handle_watching(key.code),
            Mode::Help => None,
            Mode::Kicking { id, .. } => {
                (key.code == KeyCode::Char('y')).then_some(Wish::Order(Order::Kick(id)))
            }
            Mode::Choosing { chain } => self.handle_choosing(chain, key.code),
        }
    }

    fn handle_watching(&mut self, key: KeyCode) -> Option<Wish> {
        self.said = None;
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Some(Wish::Leave),
            KeyCode::Char('c') => return Some(Wish::Order(Order::Connect)),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('k') => self.ask_whether_to_kick(),
            KeyCode::Char('t') => self.ask_for_chain(),
            KeyCode::Char('r') => {
                let sorting = self.sorting_mut();
                sorting.is_descending = !sorting.is_descending;
            }
            KeyCode::Tab | KeyCode::BackTab => {
                self.focus = match self.focus {
                    Focus::Sessions if self.has_transforms() => Focus::Transforms,
                    Focus::Sessions | Focus::Transforms => Focus::Sessions,
                };
            }
            KeyCode::Left => self.sort_by_next(-1),
            KeyCode::Right => self.sort_by_next(1),
            KeyCode::Up => self.choose(-1),
            KeyCode::Down => self.choose(1),
            KeyCode::PageUp => self.choose(-PAGE),
            KeyCode::PageDown => self.choose(PAGE),
            KeyCode::Home => self.choose(isize::MIN),
            KeyCode::End => self.choose(isize::MAX),
            _ => {}
        }
        None
    }

    fn handle_choosing(&mut self, mut chain: String, key: KeyCode) -> Option<Wish> {
        match key {
            KeyCode::Enter if !chain.is_empty() => return Some(Wish::Order(Order::Chain(chain))),
            KeyCode::Esc => return None,
            KeyCode::Backspace => {
                chain.pop();
            }
            // The protocol has no form for a space.
            KeyCode::Char(letter)
                if !letter.is_whitespace() && chain.len() + letter.len_utf8() <= CHAIN_MAX =>
            {
                chain.push(letter);
            }
            _ => {}
        }
        self.mode = Mode::Choosing { chain };
        None
    }

    fn ask_whether_to_kick(&mut self) {
        let place = self.chosen(Focus::Sessions);
        let session = place.and_then(|place| self.sorted_sessions().get(place).copied().cloned());
        match session {
            Some(session) => {
                // What is asked about stays the chosen one while it is asked.
                self.sessions.chosen = Some(session.id.to_string());
                let who = format!("{} at {}", session.user, session.address);
                self.mode = Mode::Kicking { id: session.id, who };
            }
            None => self.said = Some(Err("there is no session to close".into())),
        }
    }

    fn has_transforms(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.transforms.is_some())
    }

    fn ask_for_chain(&mut self) {
        match &self.snapshot {
            Some(snapshot) if snapshot.transforms.is_some() => {
                self.mode = Mode::Choosing { chain: snapshot.chain.join(",") };
            }
            Some(_) | None => self.said = Some(Err("this server tells of no transforms".into())),
        }
    }

    fn sorting_mut(&mut self) -> &mut Sorting {
        match self.focus {
            Focus::Sessions => &mut self.sessions,
            Focus::Transforms => &mut self.transforms,
        }
    }

    fn sort_by_next(&mut self, step: isize) {
        let count = match self.focus {
            Focus::Sessions => SESSION_COLUMNS.len(),
            Focus::Transforms => TRANSFORM_COLUMNS.len(),
        };
        let sorting = self.sorting_mut();
        sorting.column = sorting.column.saturating_add_signed(step).min(count - 1);
    }

    fn choose(&mut self, step: isize) {
        let rows = self.rows(self.focus);
        let Some(place) = self.chosen(self.focus) else { return };
        let place = place.saturating_add_signed(step).min(rows.len().saturating_sub(1));
        self.sorting_mut().chosen = rows.into_iter().nth(place);
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::snapshot;
    use super::super::poll::News;
    use super::*;

    fn board() -> Board {
        let mut board = Board::new("here".into());
        board.handle_news(News::Polled(Box::new(snapshot(&[(1, "a", 10), (2, "b", 30), (3, "c", 20)]))));
        board
    }

    fn press(board: &mut Board, keys: &[KeyCode]) -> Option<Wish> {
        keys.iter().filter_map(|&key| board.handle_key(key.into())).last()
    }

    #[test]
    fn a_session_is_closed_only_after_yes() {
        let mut board = board();
        assert!(press(&mut board, &[KeyCode::Down, KeyCode::Char('k')]).is_none());
        assert_eq!(board.mode, Mode::Kicking { id: 3, who: "c at 192.0.2.1".into() });
        assert!(press(&mut board, &[KeyCode::Enter]).is_none());
        let wish = press(&mut board, &[KeyCode::Char('k'), KeyCode::Char('y')]);
        assert!(matches!(wish, Some(Wish::Order(Order::Kick(3)))));
        assert_eq!(board.mode, Mode::Watching);
    }

    #[test]
    fn a_table_is_sorted_by_any_column_either_way() {
        let mut board = board();
        assert_eq!(board.rows(Focus::Sessions), ["2", "3", "1"]);
        press(&mut board, &[KeyCode::Char('r')]);
        assert_eq!(board.rows(Focus::Sessions), ["1", "3", "2"]);
        press(&mut board, &[KeyCode::Left; 9]);
        assert_eq!(
            (board.sessions.column, board.rows(Focus::Sessions)),
            (0, vec!["1".into(), "2".into(), "3".into()])
        );
        press(&mut board, &[KeyCode::Right; 9]);
        assert_eq!(board.sessions.column, SESSION_COLUMNS.len() - 1);
    }

    #[test]
    fn rows_are_chosen_within_the_table() {
        let mut board = board();
        press(&mut board, &[KeyCode::Up]);
        assert_eq!(board.chosen(Focus::Sessions), Some(0));
        press(&mut board, &[KeyCode::End]);
        assert_eq!(board.chosen(Focus::Sessions), Some(2));
        press(&mut board, &[KeyCode::PageUp, KeyCode::Down]);
        assert_eq!(board.chosen(Focus::Sessions), Some(1));
    }

    #[test]
    fn a_chain_is_typed_without_spaces() {
        let mut board = board();
        assert!(press(&mut board, &[KeyCode::Char('t')]).is_none());
        assert!(board.said.is_some(), "a server without transforms");
        let mut with = snapshot(&[]);
        with.transforms = Some(Vec::new());
        with.chain = vec!["a".into(), "b".into()];
        board.handle_news(News::Polled(Box::new(with)));
        let keys = ['t', ',', ' ', 'x', 'c'].map(KeyCode::Char);
        assert!(press(&mut board, &keys).is_none());
        assert_eq!(board.mode, Mode::Choosing { chain: "a,b,xc".into() });
        let wish = press(&mut board, &[KeyCode::Backspace, KeyCode::Enter]);
        assert!(matches!(wish, Some(Wish::Order(Order::Chain(chain))) if chain == "a,b,x"));
        let wish = press(&mut board, &[KeyCode::Char('t'), KeyCode::Esc, KeyCode::Char('q')]);
        assert!(matches!(wish, Some(Wish::Leave)));
    }
}
