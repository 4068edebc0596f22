//! Puts "[ext] " before the subject, as a program from standard input to standard output, for WebAssembly.
const wasi = @import("std").os.wasi;

const field = "subject:";
const tag = " [ext]";

/// What is known of the line so far.
const Line = struct {
    matched: usize = 0,
    is_other: bool = false,
    is_empty: bool = true,
};

/// Reads what there is; nothing: the message has ended.
fn read(into: []u8) ?[]const u8 {
    const vector = [1]wasi.iovec_t{.{ .base = into.ptr, .len = into.len }};
    var count: usize = 0;
    if (wasi.fd_read(0, &vector, 1, &count) != .SUCCESS) wasi.proc_exit(75);
    return if (count == 0) null else into[0..count];
}

fn write(octets: []const u8) void {
    var rest = octets;
    while (rest.len > 0) {
        const vector = [1]wasi.ciovec_t{.{ .base = rest.ptr, .len = rest.len }};
        var count: usize = 0;
        if (wasi.fd_write(1, &vector, 1, &count) != .SUCCESS) wasi.proc_exit(75);
        rest = rest[count..];
    }
}

/// Where the subject's field begins to have a value, or the header ends, in these octets.
fn look(line: *Line, octets: []const u8, is_subject: *bool) ?usize {
    for (octets, 0..) |octet, at| {
        if (octet == '\n') {
            if (line.is_empty) return at + 1;
            line.* = .{};
            continue;
        }
        if (octet != '\r') line.is_empty = false;
        if (line.is_other) continue;
        const lower = if (octet >= 'A' and octet <= 'Z') octet + 32 else octet;
        if (lower != field[line.matched]) {
            line.is_other = true;
            continue;
        }
        line.matched += 1;
        if (line.matched == field.len) {
            is_subject.* = true;
            return at + 1;
        }
    }
    return null;
}

var room: [65536]u8 = undefined;

pub fn main() void {
    var line = Line{};
    var is_found = false;
    while (read(&room)) |octets| {
        if (is_found) {
            write(octets);
            continue;
        }
        var is_subject = false;
        const place = look(&line, octets, &is_subject);
        is_found = place != null;
        const end = place orelse octets.len;
        write(octets[0..end]);
        if (is_subject) write(tag);
        write(octets[end..]);
    }
}
