/* Terminals, seen through a pseudoterminal: the line discipline, its signals, and job control. */
#include "tests/guest/test.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;
static char slave_name[32];

static void open_pair(void)
{
    int unlock = 0;
    unsigned int number;
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0)
        SKIP("no pseudoterminals");
    CHECK_OK(ioctl(master, TIOCSPTLCK, &unlock));
    CHECK_OK(ioctl(master, TIOCGPTN, &number));
    snprintf(slave_name, sizeof slave_name, "/dev/pts/%u", number);
    slave = open(slave_name, O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
}

static void type(const char *keys)
{
    CHECK_EQ(write(master, keys, strlen(keys)), strlen(keys));
}

/* What the terminal shows, up to what is there now (a moment is given to it). */
static const char *screen(void)
{
    static char text[4096];
    struct pollfd polled = {master, POLLIN, 0};
    size_t length = 0;
    while (length < sizeof text - 1 && poll(&polled, 1, 60) > 0) {
        ssize_t got = read(master, text + length, sizeof text - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = 0;
    return text;
}

static const char *read_line(void)
{
    static char text[4096];
    ssize_t got = read(slave, text, sizeof text - 1);
    CHECK(got >= 0);
    text[got] = 0;
    return text;
}

static struct termios settings(void)
{
    struct termios now;
    CHECK_OK(tcgetattr(slave, &now));
    return now;
}

TEST(fresh_terminal_is_cooked)
{
    open_pair();
    struct termios now = settings();
    CHECK_EQ(now.c_lflag & (ICANON | ECHO | ISIG | IEXTEN), ICANON | ECHO | ISIG | IEXTEN);
    CHECK(now.c_iflag & ICRNL);
    CHECK_EQ(now.c_oflag & (OPOST | ONLCR), OPOST | ONLCR);
    CHECK_EQ(now.c_cc[VINTR], 3);
    CHECK_EQ(now.c_cc[VERASE], 127);
    CHECK_EQ(now.c_cc[VEOF], 4);
    CHECK_EQ(now.c_cc[VSUSP], 26);
    CHECK(isatty(slave) && isatty(master));
    CHECK(!isatty(open("/dev/null", O_RDONLY)));
}

TEST(lines_arrive_whole_and_are_echoed)
{
    open_pair();
    struct pollfd polled = {slave, POLLIN, 0};
    type("hel");
    CHECK_EQ(poll(&polled, 1, 20), 0);
    type("lo\r");
    CHECK_EQ(poll(&polled, 1, 1000), 1);
    CHECK_STR(read_line(), "hello\n");
    CHECK_STR(screen(), "hello\r\n");
    type("one\ntwo\n");
    CHECK_STR(read_line(), "one\n");
    CHECK_STR(read_line(), "two\n");
}

TEST(erase_kill_and_word_erase_edit_the_line)
{
    open_pair();
    type("abx\177c\n");
    CHECK_STR(read_line(), "abc\n");
    type("gone\025kept\n"); /* ^U */
    CHECK_STR(read_line(), "kept\n");
    type("one two\027three\n"); /* ^W */
    CHECK_STR(read_line(), "one three\n");
    type("\026\003lit\n"); /* ^V makes the next one ordinary */
    CHECK_STR(read_line(), "\003lit\n");
    screen();
    type("ab\177");
    CHECK_STR(screen(), "ab\b \b");
    type("\177\001\n");
    CHECK_STR(screen(), "\b \b^A\r\n");
}

TEST(end_of_file_key_ends_a_read)
{
    char byte;
    open_pair();
    type("\004");
    CHECK_EQ(read(slave, &byte, 1), 0);
    type("part\004");
    CHECK_STR(read_line(), "part");
}

TEST(output_is_translated_unless_raw)
{
    open_pair();
    CHECK_EQ(write(slave, "a\nb\n", 4), 4);
    CHECK_STR(screen(), "a\r\nb\r\n");
    struct termios raw = settings();
    cfmakeraw(&raw);
    CHECK_OK(tcsetattr(slave, TCSANOW, &raw));
    CHECK_EQ(write(slave, "a\nb\n", 4), 4);
    CHECK_STR(screen(), "a\nb\n");
    type("x\r\003");
    char keys[4] = "";
    CHECK_EQ(read(slave, keys, 3), 3);
    CHECK_STR(keys, "x\r\003");
    CHECK_STR(screen(), ""); /* no echo */
}

TEST(raw_reads_obey_min_and_time)
{
    char keys[8];
    open_pair();
    struct termios raw = settings();
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    CHECK_OK(tcsetattr(slave, TCSANOW, &raw));
    CHECK_EQ(read(slave, keys, 8), 0);
    raw.c_cc[VTIME] = 1;
    CHECK_OK(tcsetattr(slave, TCSANOW, &raw));
    long long start = now_ms();
    CHECK_EQ(read(slave, keys, 8), 0);
    CHECK(now_ms() - start >= 90);
    raw.c_cc[VMIN] = 3;
    raw.c_cc[VTIME] = 0;
    CHECK_OK(tcsetattr(slave, TCSANOW, &raw));
    if (fork() == 0) {
        type("ab");
        sleep_ms(40);
        type("cd");
        _exit(0);
    }
    CHECK(read(slave, keys, 8) >= 3);
}

TEST(window_size_is_kept_and_a_change_signals)
{
    struct winsize size = {24, 80, 0, 0}, got;
    open_pair();
    CHECK_OK(ioctl(master, TIOCSWINSZ, &size));
    CHECK_OK(ioctl(slave, TIOCGWINSZ, &got));
    CHECK_EQ(got.ws_row, 24);
    CHECK_EQ(got.ws_col, 80);
}

static volatile sig_atomic_t seen;
static void note(int sig)
{
    seen = sig;
}

/* A child that leads a session on the slave and runs a statement there; its wait status. */
#define ON_TERMINAL(status, ...)                                                                   \
    do {                                                                                           \
        pid_t leader_ = fork();                                                                    \
        if (leader_ == 0) {                                                                        \
            setsid();                                                                              \
            CHECK_OK(ioctl(slave, TIOCSCTTY, 0));                                                  \
            CHECK_EQ(tcgetpgrp(slave), getpid());                                                  \
            CHECK_EQ(tcgetsid(slave), getpid());                                                   \
            __VA_ARGS__;                                                                           \
            _exit(0);                                                                              \
        }                                                                                          \
        CHECK_EQ(waitpid(leader_, &(status), 0), leader_);                                         \
    } while (0)

TEST(interrupt_quit_and_suspend_keys_signal_the_foreground)
{
    int status;
    open_pair();
    ON_TERMINAL(status, signal(SIGINT, note); type("abc\003"); sleep_ms(20);
                CHECK_EQ(seen, SIGINT));
    CHECK_EQ(status, 0);
    CHECK(strstr(screen(), "^C") != NULL);
    ON_TERMINAL(status, signal(SIGQUIT, note); type("\034"); sleep_ms(20); CHECK_EQ(seen, SIGQUIT));
    CHECK_EQ(status, 0);
    ON_TERMINAL(status, signal(SIGTSTP, note); type("\032"); sleep_ms(20); CHECK_EQ(seen, SIGTSTP));
    CHECK_EQ(status, 0);
    ON_TERMINAL(status, type("\003"); sleep_ms(1000));
    CHECK_EQ(WTERMSIG(status), SIGINT);
}

TEST(interrupt_throws_away_the_line)
{
    int status;
    open_pair();
    ON_TERMINAL(status, signal(SIGINT, note); type("gone\003"); sleep_ms(20); type("kept\n");
                CHECK_STR(read_line(), "kept\n"));
    CHECK_EQ(status, 0);
}

TEST(window_change_signals_the_foreground)
{
    int status;
    struct winsize size = {30, 100, 0, 0};
    open_pair();
    ON_TERMINAL(status, signal(SIGWINCH, note); CHECK_OK(ioctl(master, TIOCSWINSZ, &size));
                sleep_ms(20); CHECK_EQ(seen, SIGWINCH));
    CHECK_EQ(status, 0);
}

TEST(background_reader_is_stopped)
{
    int status;
    open_pair();
    ON_TERMINAL(
        status, pid_t job = fork(); if (job == 0) {
            setpgid(0, 0);
            (void)!read(slave, &status, 1);
            _exit(5);
        } setpgid(job, job);
        int stopped; CHECK_EQ(waitpid(job, &stopped, WUNTRACED), job); CHECK(WIFSTOPPED(stopped));
        CHECK_EQ(WSTOPSIG(stopped), SIGTTIN); signal(SIGTTOU, SIG_IGN);
        CHECK_OK(tcsetpgrp(slave, job)); CHECK_OK(kill(-job, SIGCONT)); type("x\n");
        CHECK_EQ(waitpid(job, &stopped, 0), job); CHECK_EQ(stopped, 5 << 8));
    CHECK_EQ(status, 0);
}

TEST(background_change_of_settings_is_stopped)
{
    int status;
    open_pair();
    ON_TERMINAL(
        status, pid_t job = fork(); if (job == 0) {
            setpgid(0, 0);
            tcsetpgrp(slave, getpid());
            _exit(5);
        } setpgid(job, job);
        int stopped; CHECK_EQ(waitpid(job, &stopped, WUNTRACED), job); CHECK(WIFSTOPPED(stopped));
        CHECK_EQ(WSTOPSIG(stopped), SIGTTOU); kill(job, SIGKILL));
    CHECK_EQ(status, 0);
}

TEST(foreground_group_must_be_of_the_session)
{
    int status;
    pid_t other = getpgrp(); /* of another session */
    open_pair();
    ON_TERMINAL(status, CHECK_ERR(tcsetpgrp(slave, other), EPERM);
                CHECK_ERR(tcsetpgrp(slave, 0x3fffffff), ESRCH);
                CHECK_OK(ioctl(slave, TIOCSCTTY, 0)); int tty = open("/dev/tty", O_RDWR);
                CHECK(tty >= 0); CHECK_EQ(tcgetpgrp(tty), getpid()));
    CHECK_EQ(status, 0);
    CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO); /* we have none */
    CHECK_ERR(tcgetpgrp(slave), ENOTTY);
}

TEST(end_of_the_leader_hangs_up_the_foreground)
{
    int fds[2];
    char byte = 0;
    open_pair();
    CHECK_OK(pipe(fds));
    pid_t leader = fork();
    if (leader == 0) {
        setsid();
        CHECK_OK(ioctl(slave, TIOCSCTTY, 0));
        if (fork() == 0) {
            signal(SIGHUP, note);
            CHECK_EQ(write(fds[1], "r", 1), 1);
            while (!seen)
                sleep_ms(2);
            _exit(write(fds[1], seen == SIGHUP ? "h" : "?", 1) != 1);
        }
        CHECK_EQ(read(fds[0], &byte, 1), 1);
        _exit(0);
    }
    CHECK_EQ(waitpid(leader, NULL, 0), leader);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_EQ(byte, 'h');
}

TEST(closed_master_hangs_up_the_slave)
{
    char byte;
    open_pair();
    close(master);
    CHECK_EQ(read(slave, &byte, 1), 0);
    CHECK_ERR(write(slave, "x", 1), EIO);
    open_pair();
    close(slave);
    CHECK_ERR(read(master, &byte, 1), EIO);
}

TEST(flush_drops_what_was_typed)
{
    int there;
    open_pair();
    type("typed\n");
    sleep_ms(30);
    CHECK_OK(ioctl(slave, FIONREAD, &there));
    CHECK_EQ(there, 6);
    CHECK_OK(tcflush(slave, TCIFLUSH));
    CHECK_OK(ioctl(slave, FIONREAD, &there));
    CHECK_EQ(there, 0);
    CHECK_OK(tcdrain(slave));
    CHECK_ERR(ioctl(slave, 0x12345678, &there), ENOTTY);
}
