/* Opens many connections to a server on this machine, and measures how late each record arrives.
 *
 *   load_generator --port 8000 --protocol websocket --requests FILE --connections 2000 [--ready TEXT] [--at-once 200]
 *
 * --protocol  websocket, sse (Server-Sent Events) or poll (the same request again and again on each connection)
 * --requests  a file with a line for each kind of client: the path, a tab, and a header line (or nothing).
 *             The clients take the lines in turn.
 * --ready     the handshake of a client is complete when this text has arrived; without it, at the end of the head
 * --at-once   how many handshakes are under way at the same time
 *
 * A record is found by its marker, `"t":` and 16 digits: the microseconds since 1970 at which it was published. So the
 * program works with every protocol, however many records a frame has. It answers the engine's `ping` frames with
 * `{"type":"pong"}`, and pings of WebSocket (RFC 6455, section 5.5.2) with pongs.
 *
 * When all connections were tried, it prints a line of JSON. Then it reads commands from standard input:
 *
 *   window BEGIN END    measures the records whose times are in [BEGIN, END), and prints a line of JSON after END and
 *                       one more second, in which late records are still counted. A poll is measured from its request.
 *
 * It ends at the end of standard input, and after 30 minutes in any case. It connects to 127.0.0.1 only; if there are
 * many clients, they use several source addresses (127.0.0.2, …), because an address has only 28,000 ports.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 100000, MOST_REQUESTS = 100000, CLIENTS_OF_AN_ADDRESS = 20000, MOST_SECONDS = 1800 };
enum { READ_BYTES = 65536, EARLY_BYTES = 16384, MARKER_BYTES = 20, KEPT_BYTES = 64, LATE_MICROSECONDS = 1000000 };
enum { CONNECTING, HANDSHAKE, OPEN, CLOSED };
enum { WEBSOCKET, SSE, POLL };
enum { OPCODE_PING = 9, OPCODE_PONG = 10 };

struct client {
    int fd, request;
    uint8_t state, ready;
    /* The beginning of the stream, until the client is ready. Polls keep their answers here. */
    char *early;
    int early_length, body_left;
    uint64_t began, asked;
    /* The frame that is being read: its header so far, and the rest of its payload. */
    uint8_t header[14], header_length, in_payload;
    uint64_t payload_left;
    /* The beginning of the payload, which shows whether the frame is a ping; and the end of what was read, which may be
     * the first part of a marker. */
    uint8_t start_length, tail_length;
    char start[125], tail[MARKER_BYTES];
};

static struct client *clients;
static char **requests;
static int port, protocol, client_count, request_count, at_once = 200, epoll_fd;
static const char *ready_text = "";
static int tried, under_way, opened, refused, closed;
static char first_refusal[200];
static uint64_t first_connect, last_ready;

/* What a window has counted. The latency of a record, in microseconds, is counted in a bucket: 64 buckets for each power
 * of two, so that a bucket is at most 1.6 % wide. */
enum { STEPS = 64, BUCKETS = 64 * 40 };
struct window {
    uint64_t begin, end, received, arrived, slowest, pings, buckets[BUCKETS];
};
static struct window now_measured;

static uint64_t microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what) {
    fprintf(stderr, "load_generator: %s\n", what);
    exit(1);
}

static int bucket_of(uint64_t value) {
    if (value < STEPS) return (int)value;
    int power = 63 - __builtin_clzll(value) - 6;
    int bucket = (power + 1) * STEPS + (int)((value >> power) - STEPS);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t value_of(int bucket) {
    if (bucket < STEPS) return (uint64_t)bucket;
    int power = bucket / STEPS - 1;
    return (uint64_t)(bucket % STEPS + STEPS) << power;
}

static uint64_t percentile(const struct window *window, double share) {
    uint64_t rank = (uint64_t)(share * (double)window->received), seen = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        seen += window->buckets[bucket];
        if (seen > rank) return value_of(bucket);
    }
    return window->slowest;
}

static void count(uint64_t published, uint64_t arrived) {
    struct window *window = &now_measured;
    if (arrived >= window->begin && arrived < window->end) window->arrived++;
    if (published < window->begin || published >= window->end) return;
    uint64_t latency = arrived > published ? arrived - published : 0;
    window->received++;
    window->buckets[bucket_of(latency)]++;
    if (latency > window->slowest) window->slowest = latency;
}

static void print_handshakes(void) {
    double seconds = last_ready > first_connect ? (double)(last_ready - first_connect) / 1e6 : 0;
    printf("{\"opened\":%d,\"refused\":%d,\"first_refusal\":\"%s\",\"seconds\":%.4f,\"handshakes_a_second\":%.1f}\n",
           opened, refused, first_refusal, seconds, seconds > 0 ? opened / seconds : 0);
    fflush(stdout);
}

static void print_window(void) {
    const struct window *window = &now_measured;
    printf("{\"received\":%llu,\"arrived\":%llu,\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,\"pings\":%llu,"
           "\"closed\":%d}\n",
           (unsigned long long)window->received, (unsigned long long)window->arrived,
           (unsigned long long)percentile(window, 0.5), (unsigned long long)percentile(window, 0.99),
           (unsigned long long)window->slowest, (unsigned long long)window->pings, closed);
    fflush(stdout);
}

static void give_up(struct client *client, const char *why) {
    if (client->state == CLOSED) return;
    if (client->ready) {
        closed++;
    } else {
        refused++;
        under_way--;
        if (!first_refusal[0])
            for (int i = 0; why[i] >= ' ' && i < (int)sizeof first_refusal - 1; i++)
                first_refusal[i] = why[i] == '"' || why[i] == '\\' ? '\'' : why[i];
    }
    free(client->early);
    client->early = NULL;
    close(client->fd);
    client->state = CLOSED;
}

static void write_to(struct client *client, const void *bytes, size_t length) {
    if (send(client->fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) give_up(client, "a short write");
}

static void ask(struct client *client) {
    static const char *const extra[] = {
        [WEBSOCKET] = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: bG9hZCBnZW5lcmF0b3IhIQ==\r\n",
        [SSE] = "Accept: text/event-stream\r\n",
        [POLL] = "",
    };
    char text[8192];
    const char *line = requests[client->request], *tab = strchr(line, '\t');
    int path_length = tab ? (int)(tab - line) : (int)strlen(line);
    const char *header = tab ? tab + 1 : "";
    int length = snprintf(text, sizeof text, "GET %.*s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s\r\n", path_length, line,
                          port, extra[protocol], header, *header ? "\r\n" : "");
    if (length >= (int)sizeof text) fail("a request is too long");
    client->state = HANDSHAKE;
    client->asked = microseconds();
    write_to(client, text, (size_t)length);
}

/* Sends a masked frame (RFC 6455, section 5.3). */
static void send_frame(struct client *client, int opcode, const char *payload, int length) {
    static const uint8_t mask[4] = {0x5a, 0xc3, 0x17, 0x88};
    uint8_t frame[6 + 125] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | length)};
    memcpy(frame + 2, mask, 4);
    for (int i = 0; i < length; i++) frame[6 + i] = (uint8_t)payload[i] ^ mask[i % 4];
    write_to(client, frame, (size_t)(6 + length));
}

/* Finds the markers in the next part of a client's stream. The MARKER_BYTES before `text` may be overwritten. */
static void find_markers(struct client *client, char *text, char *end, uint64_t now) {
    text -= client->tail_length;
    memcpy(text, client->tail, client->tail_length);
    while (end - text >= MARKER_BYTES) {
        char *found = memmem(text, (size_t)(end - text), "\"t\":", 4);
        if (!found || end - found < MARKER_BYTES) {
            text = found ? found : end - 3;
            break;
        }
        uint64_t published = 0;
        int digits = 0;
        for (; digits < 16 && found[4 + digits] >= '0' && found[4 + digits] <= '9'; digits++)
            published = published * 10 + (uint64_t)(found[4 + digits] - '0');
        if (digits == 16) count(published, now);
        text = found + 4 + digits;
    }
    client->tail_length = (uint8_t)(end - text);
    memcpy(client->tail, text, client->tail_length);
}

static void end_of_frame(struct client *client) {
    static const char ping[] = "{\"type\":\"ping\"", pong[] = "{\"type\":\"pong\"}";
    int opcode = client->header[0] & 15;
    client->tail_length = client->header_length = client->in_payload = 0;
    if (opcode == OPCODE_PING) {
        send_frame(client, OPCODE_PONG, client->start, client->start_length);
    } else if (opcode == 1 && client->start_length >= sizeof ping - 1 && !memcmp(client->start, ping, sizeof ping - 1)) {
        now_measured.pings++;
        send_frame(client, 1, pong, sizeof pong - 1);
    }
    client->start_length = 0;
}

/* Reads the header of a frame byte by byte. Returns whether it is complete. */
static int read_header(struct client *client, uint8_t byte) {
    uint8_t *header = client->header;
    header[client->header_length++] = byte;
    if (client->header_length < 2) return 0;
    int length = header[1] & 127, extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (client->header_length < 2 + extended) return 0;
    client->payload_left = extended ? 0 : (uint64_t)length;
    for (int i = 0; i < extended; i++) client->payload_left = client->payload_left << 8 | header[2 + i];
    client->in_payload = 1;
    return 1;
}

static void read_frames(struct client *client, char *text, char *end, uint64_t now) {
    while (text < end && client->state == OPEN) {
        if (!client->in_payload) {
            if (read_header(client, (uint8_t)*text++) && !client->payload_left) end_of_frame(client);
            continue;
        }
        uint64_t length = (uint64_t)(end - text) < client->payload_left ? (uint64_t)(end - text) : client->payload_left;
        int room = (int)sizeof client->start - client->start_length, kept = length < (uint64_t)room ? (int)length : room;
        memcpy(client->start + client->start_length, text, (size_t)kept);
        client->start_length = (uint8_t)(client->start_length + kept);
        find_markers(client, text, text + length, now);
        text += length;
        client->payload_left -= length;
        if (!client->payload_left) end_of_frame(client);
    }
}

static void read_stream(struct client *client, char *text, char *end, uint64_t now) {
    if (protocol == WEBSOCKET) read_frames(client, text, end, now);
    else find_markers(client, text, end, now);
}

static void is_ready(struct client *client, uint64_t now) {
    client->ready = 1;
    opened++;
    under_way--;
    last_ready = now;
    if (protocol == POLL) return;
    free(client->early);
    client->early = NULL;
}

/* Reads the beginning of the stream: the head of the answer, and what follows until the ready text has arrived. */
static void read_early(struct client *client, char *text, int length, uint64_t now) {
    if (!client->early && !(client->early = malloc(EARLY_BYTES + 1))) fail("there is not enough memory");
    if (client->early_length + length > EARLY_BYTES) {
        if (client->state == HANDSHAKE || length > EARLY_BYTES - KEPT_BYTES) return give_up(client, "a head without an end");
        memmove(client->early, client->early + client->early_length - KEPT_BYTES, KEPT_BYTES);
        client->early_length = KEPT_BYTES;
    }
    memcpy(client->early + client->early_length, text, (size_t)length);
    int before = client->early_length;
    client->early_length += length;
    client->early[client->early_length] = 0;
    if (client->state == HANDSHAKE) {
        char *end = memmem(client->early, (size_t)client->early_length, "\r\n\r\n", 4);
        if (!end) return;
        const char *status = protocol == WEBSOCKET ? "HTTP/1.1 101" : "HTTP/1.1 200";
        if (strncmp(client->early, status, strlen(status))) return give_up(client, client->early);
        client->state = OPEN;
        text += end + 4 - client->early - before;
        length -= (int)(end + 4 - client->early) - before;
    }
    read_stream(client, text, text + length, now);
    if (client->state == OPEN && memmem(client->early, (size_t)client->early_length, ready_text, strlen(ready_text)))
        is_ready(client, now);
}

/* Reads a part of the answer to a poll. When the answer is complete, counts it, and polls again within the window. */
static void read_answer(struct client *client, const char *text, int length, uint64_t now) {
    if (!client->early && !(client->early = malloc(EARLY_BYTES + 1))) fail("there is not enough memory");
    if (client->state == HANDSHAKE) {
        if (client->early_length + length > EARLY_BYTES) return give_up(client, "a head without an end");
        memcpy(client->early + client->early_length, text, (size_t)length);
        client->early_length += length;
        client->early[client->early_length] = 0;
        char *end = memmem(client->early, (size_t)client->early_length, "\r\n\r\n", 4);
        if (!end) return;
        char *size = strcasestr(client->early, "\r\ncontent-length:");
        if (strncmp(client->early, "HTTP/1.1 200", 12) || !size) return give_up(client, client->early);
        client->state = OPEN;
        client->body_left = atoi(size + 17) + (int)(end + 4 - client->early) - client->early_length;
    } else {
        client->body_left -= length;
    }
    if (client->body_left > 0) return;
    client->early_length = 0;
    if (!client->ready) is_ready(client, now);
    count(client->asked, now);
    if (now >= now_measured.begin && now < now_measured.end) ask(client);
}

static void readable(struct client *client) {
    static char space[KEPT_BYTES + READ_BYTES];
    char *text = space + KEPT_BYTES;
    ssize_t got = recv(client->fd, text, client->ready ? READ_BYTES : EARLY_BYTES / 2, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return give_up(client, got < 0 ? strerror(errno) : client->early ? client->early : "closed at once");
    uint64_t now = microseconds();
    if (protocol == POLL) read_answer(client, text, (int)got, now);
    else if (!client->ready) read_early(client, text, (int)got, now);
    else read_stream(client, text, text + got, now);
}

static void open_next(void) {
    struct client *client = &clients[tried];
    client->request = tried % request_count;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) fail("too many open files: raise the limit (ulimit -n), or use fewer connections");
    int yes = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (client_count > CLIENTS_OF_AN_ADDRESS) {
        setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(tried / CLIENTS_OF_AN_ADDRESS));
        if (bind(client->fd, (struct sockaddr *)&address, sizeof address)) fail("no source address");
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    address.sin_port = htons((uint16_t)port);
    tried++;
    under_way++;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        return give_up(client, strerror(errno));
    struct epoll_event wanted = {.events = EPOLLOUT, .data.ptr = client};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &wanted);
}

static void connected(struct client *client) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return give_up(client, strerror(error));
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, client->fd, &wanted);
    ask(client);
}

static void handle_events(int milliseconds) {
    struct epoll_event events[512];
    int number = epoll_wait(epoll_fd, events, 512, milliseconds);
    for (int i = 0; i < number; i++) {
        struct client *client = events[i].data.ptr;
        if (!client || client->state == CLOSED) continue;
        if (client->state == CONNECTING) connected(client);
        else readable(client);
    }
}

static void measure(uint64_t begin, uint64_t end) {
    memset(&now_measured, 0, sizeof now_measured);
    now_measured.begin = begin;
    now_measured.end = end;
    while (microseconds() < begin) handle_events(1);
    for (int i = 0; protocol == POLL && i < client_count; i++)
        if (clients[i].state == OPEN) ask(&clients[i]);
    while (microseconds() < end + LATE_MICROSECONDS) handle_events(10);
    print_window();
}

static void obey_commands(void) {
    char line[200];
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &wanted)) fail("standard input must be a pipe");
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    for (;;) { /* until the end of standard input, or `alarm` */
        handle_events(1000);
        ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
        if (got == 0) return;
        if (got < 0) continue;
        line[got] = 0;
        unsigned long long begin, end;
        if (sscanf(line, "window %llu %llu", &begin, &end) == 2) measure(begin, end);
    }
}

static void read_requests(const char *file_name) {
    FILE *file = fopen(file_name, "r");
    if (!file) fail("the file of requests cannot be read");
    requests = calloc(MOST_REQUESTS, sizeof *requests);
    size_t room = 0;
    ssize_t length;
    while (requests && request_count < MOST_REQUESTS && (length = getline(&requests[request_count], &room, file)) > 0) {
        requests[request_count++][length - 1] = 0;
        room = 0;
    }
    fclose(file);
    if (!request_count) fail("the file of requests is empty");
}

static void read_options(int count, char **words) {
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = words[i], *value = words[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--protocol")) protocol = !strcmp(value, "sse") ? SSE : !strcmp(value, "poll") ? POLL : WEBSOCKET;
        else if (!strcmp(name, "--requests")) read_requests(value);
        else if (!strcmp(name, "--connections")) client_count = atoi(value);
        else if (!strcmp(name, "--ready")) ready_text = value;
        else if (!strcmp(name, "--at-once")) at_once = atoi(value);
        else fail("an option is unknown: the beginning of load_generator.c lists all");
    }
    if (port <= 0 || !request_count || client_count <= 0 || client_count > MOST_CONNECTIONS || at_once <= 0)
        fail("--port, --requests, --connections (up to 100,000) or --at-once is missing or wrong");
}

/* Raises the limit of open files: to MOST_CONNECTIONS if this is root, else as far as a user may. */
static void allow_files(void) {
    struct rlimit files = {MOST_CONNECTIONS + 100, MOST_CONNECTIONS + 100};
    if (!setrlimit(RLIMIT_NOFILE, &files)) return;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int count, char **words) {
    read_options(count, words);
    alarm(MOST_SECONDS);
    allow_files();
    clients = calloc((size_t)client_count, sizeof *clients);
    epoll_fd = epoll_create1(0);
    if (!clients || epoll_fd < 0) fail("there is not enough memory");
    first_connect = microseconds();
    while (tried < client_count || under_way > 0) {
        while (tried < client_count && under_way < at_once) open_next();
        handle_events(1000);
    }
    print_handshakes();
    obey_commands();
    return 0;
}
