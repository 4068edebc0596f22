//! What the screen looks like. It is made for 80 columns and 24 rows, and uses what there is.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState};

use super::board::{Board, Focus, Mode, Rate, SESSION_COLUMNS, Sorting, TRANSFORM_COLUMNS, highest};
use super::keys::KEYS;
use super::poll::{Session, Snapshot, Transform};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);

/// Rows of the charts, with their borders.
const CHART_HEIGHT: u16 = 5;

/// Rows that the table of transforms takes at most, with borders and header: sessions are more.
const TRANSFORMS_HEIGHT_MAX: u16 = 8;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board, now: Instant) {
    let count = board.snapshot.as_ref().and_then(|snapshot| snapshot.transforms.as_ref()).map(Vec::len);
    let transforms_height = count.map_or(0, |count| {
        u16::try_from(count).unwrap_or(u16::MAX).saturating_add(3).min(TRANSFORMS_HEIGHT_MAX)
    });
    let [head, counts, charts, sessions, transforms, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(CHART_HEIGHT),
        Constraint::Min(4),
        Constraint::Length(transforms_height),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(title(board)).style(BOLD), head);
    frame.render_widget(Paragraph::new(what_is_counted(board, now)), counts);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(charts);
    draw_rate(frame, left, "octets/s", &board.octets, Color::Green, |rate| octets(rate / 100));
    draw_rate(frame, right, "logins/s", &board.logins, Color::Cyan, hundredths);
    draw_sessions(frame, sessions, board);
    if transforms_height > 0 {
        draw_transforms(frame, transforms, board);
    }
    frame.render_widget(Paragraph::new(foot_line(board)), foot);
    if board.mode == Mode::Help {
        draw_help(frame);
    }
}

fn title(board: &Board) -> String {
    let snapshot = board.snapshot.as_ref();
    let version = snapshot.and_then(|snapshot| snapshot.version.as_deref());
    let uptime = snapshot.and_then(|snapshot| snapshot.uptime);
    let mut title = format!(
        "{} at {}",
        version.map_or("server".into(), |version| format!("pop3d {version}")),
        board.target
    );
    if let Some(seconds) = uptime {
        title.push_str(&format!(", up {}", duration(seconds)));
    }
    title
}

fn what_is_counted(board: &Board, now: Instant) -> Line<'_> {
    if let Some(lost) = &board.lost {
        // Rounded up: "in 0 s" would be now.
        let seconds = Board::wait(lost, now).as_millis().div_ceil(1000);
        return Line::styled(format!("next attempt in {seconds} s (c: now): {}", lost.why), BAD);
    }
    let Some(snapshot) = &board.snapshot else { return Line::raw("asking…") };
    let number = |count: Option<u64>| count.map_or("?".into(), |count| count.to_string());
    let Snapshot { connections, limit, logins, messages, octets: sent, .. } = snapshot;
    Line::raw(format!(
        "{} of {} connections · {} logins · {} messages · {} sent",
        number(*connections),
        number(*limit),
        number(*logins),
        number(*messages),
        sent.map_or("?".into(), octets),
    ))
}

fn draw_rate(
    frame: &mut Frame<'_>,
    area: Rect,
    unit: &str,
    rate: &Rate,
    color: Color,
    show: fn(u64) -> String,
) {
    let room = usize::from(area.width.saturating_sub(2));
    let samples: Vec<u64> = rate.last(room).collect();
    let highest = highest(&samples);
    let title = format!(" {unit}: {}, highest {} ", show(rate.current()), show(highest.max(rate.current())));
    // The last sample stands at the right.
    let empty = room.saturating_sub(samples.len());
    let samples = std::iter::repeat_n(0, empty).chain(samples);
    let line = Sparkline::default()
        .block(Block::bordered().title(title))
        .max(highest)
        .style(Style::new().fg(color))
        .data(samples.collect::<Vec<u64>>());
    frame.render_widget(line, area);
}

fn draw_sessions(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let sessions = board.sorted_sessions();
    let Some(snapshot) = &board.snapshot else {
        return frame.render_widget(Block::bordered().title(" sessions "), area);
    };
    if snapshot.sessions.is_none() {
        // A server of the published protocol tells who is logged in, and no more.
        let title = format!(" users logged in: {} ", snapshot.users.len());
        let users = snapshot.users.iter().map(|user| Row::new([user.as_str()]));
        let table = Table::new(users, [Constraint::Fill(1)]).block(Block::bordered().title(title));
        return frame.render_widget(table, area);
    }
    let title = format!(" sessions: {}", sessions.len());
    let row = |session: &&Session| {
        let Session { id, user, address, state, seconds, octets: sent } = session;
        Row::new([
            right(id.to_string()),
            Cell::new(user.clone()),
            Cell::new(address.clone()),
            Cell::new(state.clone()),
            right(duration(*seconds)),
            right(octets(*sent)),
        ])
    };
    let widths = [
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Fill(2),
        Constraint::Length(13),
        Constraint::Length(9),
        Constraint::Length(8),
    ];
    let rows = sessions.iter().map(row);
    draw_table(frame, area, board, Focus::Sessions, &title, &SESSION_COLUMNS, Table::new(rows, widths));
}

fn draw_transforms(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let transforms = board.sorted_transforms();
    let chain = board.snapshot.as_ref().map(|snapshot| snapshot.chain.join(",")).unwrap_or_default();
    let chain = if chain.is_empty() { "none" } else { &chain };
    let title = format!(" transforms: {}, chain: {chain}", transforms.len());
    let row = |transform: &&Transform| {
        let Transform { name, kind, state, generation, .. } = transform;
        let mut cells = vec![
            Cell::new(name.clone()),
            Cell::new(kind.clone()),
            Cell::new(state.clone()).style(if state == "failed" { BAD } else { Style::new() }),
            right(generation.to_string()),
        ];
        let keys = TRANSFORM_COLUMNS.iter().skip(cells.len());
        cells.extend(keys.map(|key| right(transform.count(key).to_string())));
        Row::new(cells)
    };
    let columns = [7, 8, 3, 8, 6, 9, 7, 7].map(Constraint::Length);
    let widths = std::iter::once(Constraint::Fill(1)).chain(columns);
    let rows = transforms.iter().map(row);
    draw_table(frame, area, board, Focus::Transforms, &title, &TRANSFORM_COLUMNS, Table::new(rows, widths));
}

fn draw_table(
    frame: &mut Frame<'_>,
    area: Rect,
    board: &Board,
    focus: Focus,
    title: &str,
    columns: &[&str],
    table: Table<'_>,
) {
    let Sorting { column: by, is_descending, .. } = board.sorting(focus);
    let arrow = if *is_descending { '▼' } else { '▲' };
    let is_focus = board.focus == focus;
    let header = columns.iter().enumerate().map(|(place, name)| {
        let style = if place == *by { BOLD.add_modifier(Modifier::UNDERLINED) } else { BOLD };
        let cell =
            if is_number(focus, place) { right((*name).to_owned()) } else { Cell::new((*name).to_owned()) };
        cell.style(style)
    });
    let sorted = columns.get(*by).copied().unwrap_or_default();
    let title = format!("{title}, by {sorted} {arrow} ");
    let block = Block::bordered().title(Span::styled(title, if is_focus { BOLD } else { Style::new() }));
    let table = table.header(Row::new(header)).block(block).row_highlight_style(if is_focus {
        REVERSED
    } else {
        Style::new()
    });
    let mut state = TableState::new().with_selected(board.chosen(focus));
    frame.render_stateful_widget(table, area, &mut state);
}

fn is_number(focus: Focus, place: usize) -> bool {
    match focus {
        Focus::Sessions => matches!(place, 0 | 4 | 5),
        Focus::Transforms => place >= 3,
    }
}

fn right(text: String) -> Cell<'static> {
    Cell::new(Line::raw(text).right_aligned())
}

fn foot_line(board: &Board) -> Line<'_> {
    match (&board.mode, &board.said) {
        (Mode::Kicking { id, who }, _) => {
            Line::styled(format!("Close session {id} of {who}? y: yes, any other key: no"), REVERSED)
        }
        (Mode::Choosing { chain }, _) => Line::from(vec![
            Span::styled("Chain (names with \",\" between, none): ", BOLD),
            Span::raw(chain.clone()),
            Span::styled(" ", REVERSED),
            Span::raw("  Enter: set, Esc: not"),
        ]),
        (Mode::Watching | Mode::Help, Some(Ok(said))) => Line::raw(format!("OK! {said}")),
        (Mode::Watching | Mode::Help, Some(Err(sentence))) => Line::styled(format!("ERROR! {sentence}"), BAD),
        (Mode::Watching | Mode::Help, None) => {
            Line::raw("q leave · k kick · t chain · Tab table · ←→ sort by · r reverse · ? help")
        }
    }
}

fn draw_help(frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(key, what)| Line::from(vec![Span::styled(format!(" {key:24}"), BOLD), Span::raw(*what)]))
        .collect();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = frame.area().centered(Constraint::Max(78), Constraint::Max(height));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys; any key: back ")), area);
}

/// Octets with three figures or so.
fn octets(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut tenths, mut unit) = (count / 100, "kB");
    for next in UNITS.iter().skip(1) {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

fn hundredths(rate: u64) -> String {
    let tenths = rate.saturating_add(5) / 10;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A time with its two greatest units.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} m {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} m"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (count, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_999, "99.9 kB"),
            (100_000, "100 kB"),
            (7_340_032, "7.3 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(octets(count), shown);
        }
        assert_eq!(
            (hundredths(0), hundredths(99), hundredths(1234)),
            ("0.0".into(), "1.0".into(), "12.3".into())
        );
        for (seconds, shown) in [(5, "5 s"), (61, "1 m 1 s"), (3600, "1 h 0 m"), (90_061, "1 d 1 h")] {
            assert_eq!(duration(seconds), shown);
        }
    }
}
