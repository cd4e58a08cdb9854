// The line discipline N_TTY: what happens to each character between the device and the reader.

#include "kernel/dev/tty.h"

#include "kernel/lib/string.h"
#include "kernel/task/pid.h"
#include "kernel/task/signal.h"

#define IFLAG(tty, bit) ((tty)->termios.c_iflag & (bit))
#define OFLAG(tty, bit) ((tty)->termios.c_oflag & (bit))
#define LFLAG(tty, bit) ((tty)->termios.c_lflag & (bit))

static u16 *slot(struct tty *tty, u64 position)
{
    return &tty->input[position % TTY_BUFFER];
}

static bool is_char(const struct tty *tty, int index, u8 c)
{
    return c == tty->termios.c_cc[index] && c != 0; // 0: _POSIX_VDISABLE
}

// One character as the terminal gets it. False if the driver is full.
static bool put_processed(struct tty *tty, char c)
{
    static const char spaces[] = "        ";

    if (c == '\n' && OFLAG(tty, ONLCR)) {
        tty->column = 0;
        return tty->driver->write(tty, "\r\n", 2) == 2;
    }
    if (c == '\t' && OFLAG(tty, TABDLY) == XTABS) {
        size_t n = 8 - tty->column % 8;
        tty->column += n;
        return tty->driver->write(tty, spaces, n) == n;
    }
    if (c == '\r' && OFLAG(tty, OCRNL))
        c = '\n';
    if (c == '\r')
        tty->column = 0;
    else if (c == '\b')
        tty->column -= tty->column > 0;
    else if (c == '\t')
        tty->column = (tty->column | 7) + 1;
    else if ((u8)c >= ' ' &&
             ((u8)c & 0xc0) != 0x80) // the later bytes of a UTF-8 character take no column
        tty->column++;
    return tty->driver->write(tty, &c, 1) == 1;
}

static bool is_plain(char c)
{
    return (u8)c >= ' ' && (u8)c < 0x7f;
}

size_t tty_output(struct tty *tty, const char *text, size_t n)
{
    size_t done = 0;

    if (tty->stopped)
        return 0;
    if (!OFLAG(tty, OPOST))
        return tty->driver->write(tty, text, n);
    while (done < n) {
        size_t run = 0;
        while (done + run < n && is_plain(text[done + run]))
            run++;
        if (run) {
            size_t sent = tty->driver->write(tty, text + done, run);
            tty->column += sent;
            done += sent;
            if (sent < run)
                break;
        } else if (put_processed(tty, text[done])) {
            done++;
        } else {
            break;
        }
    }
    return done;
}

static void echo_text(struct tty *tty, const char *text)
{
    tty_output(tty, text, strlen(text));
}

static bool shown_as_control(const struct tty *tty, u8 c)
{
    return LFLAG(tty, ECHOCTL) && (c < ' ' || c == 0x7f) && c != '\t' && c != '\n';
}

static void echo(struct tty *tty, u8 c)
{
    if (c == '\n' ? !LFLAG(tty, ECHO | ECHONL) : !LFLAG(tty, ECHO))
        return;
    if (shown_as_control(tty, c)) {
        char text[3] = {'^', c ^ 0x40, 0};
        echo_text(tty, text);
    } else {
        tty_output(tty, (char *)&c, 1);
    }
}

static void erase_one(struct tty *tty)
{
    u8 c;

    do { // all bytes of a UTF-8 character
        c = *slot(tty, --tty->head);
    } while (IFLAG(tty, IUTF8) && (c & 0xc0) == 0x80 && tty->head > tty->canonical);
    if (!LFLAG(tty, ECHO) || !LFLAG(tty, ECHOE))
        return;
    echo_text(tty, shown_as_control(tty, c) ? "\b \b\b \b" : "\b \b");
}

static void erase_word(struct tty *tty)
{
    bool seen = false;

    while (tty->head > tty->canonical) {
        u8 c = *slot(tty, tty->head - 1);
        bool blank = c == ' ' || c == '\t';
        if (blank && seen)
            return;
        seen |= !blank;
        erase_one(tty);
    }
}

static void erase_line(struct tty *tty)
{
    if (LFLAG(tty, ECHO) && !LFLAG(tty, ECHOKE)) {
        tty->head = tty->canonical;
        echo(tty, tty->termios.c_cc[VKILL]);
        if (LFLAG(tty, ECHOK))
            echo_text(tty, "\n");
        return;
    }
    while (tty->head > tty->canonical)
        erase_one(tty);
}

// Puts a character behind the others; a full buffer drops it, but keeps room for the end of a line.
static void store(struct tty *tty, u16 entry)
{
    u64 room = TTY_BUFFER - (tty->head - tty->tail);

    if (room == 0 || (room == 1 && LFLAG(tty, ICANON) && !(entry & (TTY_DELIMITER | TTY_EOF)))) {
        if (IFLAG(tty, IMAXBEL))
            echo_text(tty, "\a");
        return;
    }
    *slot(tty, tty->head++) = entry;
}

static void line_complete(struct tty *tty)
{
    tty->canonical = tty->head;
    wake_all(&tty->read_wait);
}

static bool input_signal(struct tty *tty, u8 c)
{
    int sig = is_char(tty, VINTR, c)   ? SIGINT
              : is_char(tty, VQUIT, c) ? SIGQUIT
              : is_char(tty, VSUSP, c) ? SIGTSTP
                                       : 0;

    if (!sig || !LFLAG(tty, ISIG))
        return false;
    if (!LFLAG(tty, NOFLSH))
        tty_flush_input(tty);
    tty->stopped = false;
    echo(tty, c);
    if (tty->session && tty->session->foreground)
        signal_send_group(tty->session->foreground, sig, NULL);
    return true;
}

static bool input_flow(struct tty *tty, u8 c)
{
    if (!IFLAG(tty, IXON))
        return false;
    bool start = is_char(tty, VSTART, c), stop = is_char(tty, VSTOP, c);
    if (!start && !stop && !(tty->stopped && IFLAG(tty, IXANY)))
        return false;
    tty->stopped = stop && !(start && tty->stopped);
    if (!tty->stopped)
        wake_all(&tty->write_wait);
    return start || stop;
}

static void reprint(struct tty *tty, u8 c)
{
    echo(tty, c);
    echo_text(tty, "\n");
    for (u64 i = tty->canonical; i < tty->head; i++)
        echo(tty, *slot(tty, i));
}

// True if c was an editing character.
static bool input_edit(struct tty *tty, u8 c)
{
    bool extended = LFLAG(tty, IEXTEN);

    if (is_char(tty, VERASE, c)) {
        if (tty->head > tty->canonical)
            erase_one(tty);
    } else if (is_char(tty, VKILL, c)) {
        erase_line(tty);
    } else if (is_char(tty, VWERASE, c) && extended) {
        erase_word(tty);
    } else if (is_char(tty, VREPRINT, c) && extended) {
        reprint(tty, c);
    } else if (is_char(tty, VLNEXT, c) && extended) {
        tty->literal = true;
        if (LFLAG(tty, ECHO) && LFLAG(tty, ECHOCTL))
            echo_text(tty, "^\b");
    } else {
        return false;
    }
    return true;
}

static void input_canonical(struct tty *tty, u8 c)
{
    if (is_char(tty, VEOF, c)) {
        store(tty, c | TTY_EOF);
        line_complete(tty);
    } else if (c == '\n' || is_char(tty, VEOL, c) || is_char(tty, VEOL2, c)) {
        echo(tty, c);
        store(tty, c | TTY_DELIMITER);
        line_complete(tty);
    } else {
        echo(tty, c);
        store(tty, c);
    }
}

static void input_raw(struct tty *tty, u8 c)
{
    echo(tty, c);
    store(tty, c);
    line_complete(tty);
}

static void input_one(struct tty *tty, u8 c)
{
    if (IFLAG(tty, ISTRIP))
        c &= 0x7f;
    if (tty->literal) {
        tty->literal = false;
        echo(tty, c);
        store(tty, c);
        return;
    }
    if (input_signal(tty, c) || input_flow(tty, c))
        return;
    if (c == '\r' && IFLAG(tty, IGNCR))
        return;
    if (c == '\r' && IFLAG(tty, ICRNL))
        c = '\n';
    else if (c == '\n' && IFLAG(tty, INLCR))
        c = '\r';
    if (!LFLAG(tty, ICANON))
        input_raw(tty, c);
    else if (!input_edit(tty, c))
        input_canonical(tty, c);
}

void tty_input(struct tty *tty, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        input_one(tty, text[i]);
}

void tty_flush_input(struct tty *tty)
{
    tty->tail = tty->canonical = tty->head;
    tty->literal = false;
}

size_t tty_readable(const struct tty *tty)
{
    return tty->canonical - tty->tail;
}
