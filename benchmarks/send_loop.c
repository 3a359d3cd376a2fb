/* The limit of every push server on Linux: a loop of send() over the connections of a tenant, and nothing else.
 *
 *   send_loop PORT FEED_PORT websocket|sse
 *
 * A client asks for `/N`, and then gets the records of tenant N. It is not checked who the client is, nothing is stored,
 * and no ping is sent. The records come over a TCP connection to FEED_PORT: lines of a tenant's number, a space, and
 * the record. If a client's buffer is full, the record is dropped for that client. Both ports are on 127.0.0.1. The
 * program ends after 30 minutes in any case.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_TENANTS = 100000, MOST_SECONDS = 1800, LINE_BYTES = 1 << 20, HEAD_BYTES = 4096, RECORD_BYTES = 65000 };

static struct { int *sockets, count, room; } tenants[MOST_TENANTS];
static int is_sse, epoll_fd, feed_fd = -1;
static char line_bytes[LINE_BYTES];
static size_t line_length;

static void fail(const char *what) {
    fprintf(stderr, "send_loop: %s\n", what);
    exit(1);
}

static int listen_at(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) fail("the port is not free");
    return fd;
}

static void watch(int fd) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &wanted);
}

static void add_client(int tenant, int fd) {
    if (tenants[tenant].count == tenants[tenant].room) {
        tenants[tenant].room = tenants[tenant].room ? 2 * tenants[tenant].room : 16;
        tenants[tenant].sockets = realloc(tenants[tenant].sockets, sizeof(int) * (size_t)tenants[tenant].room);
        if (!tenants[tenant].sockets) fail("there is not enough memory");
    }
    tenants[tenant].sockets[tenants[tenant].count++] = fd;
}

/* Answers the request of a client, or closes the connection of a client that has left. */
static void client_readable(int fd) {
    static const char upgrade[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    char head[HEAD_BYTES];
    ssize_t got = recv(fd, head, sizeof head - 1, 0);
    if (got <= 0) {
        close(fd);
        for (int tenant = 0; tenant < MOST_TENANTS; tenant++)
            for (int i = 0; i < tenants[tenant].count; i++)
                if (tenants[tenant].sockets[i] == fd)
                    tenants[tenant].sockets[i] = tenants[tenant].sockets[--tenants[tenant].count];
        return;
    }
    head[got] = 0;
    if (strncmp(head, "GET /", 5)) return;
    int tenant = atoi(head + 5);
    if (tenant < 0 || tenant >= MOST_TENANTS) return;
    const char *answer = is_sse ? stream : upgrade;
    send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    add_client(tenant, fd);
}

static void fan_out(const char *line, size_t length) {
    static char message[RECORD_BYTES + 16];
    char *record;
    long tenant = strtol(line, &record, 10);
    size_t size = length - (size_t)(++record - line), begin = 0;
    if (tenant < 0 || tenant >= MOST_TENANTS || size > RECORD_BYTES) return;
    if (is_sse) {
        memcpy(message, "data: ", begin = 6);
    } else {
        message[0] = (char)0x81;
        if (size < 126) message[1] = (char)size;
        else message[1] = 126, message[2] = (char)(size >> 8), message[3] = (char)size;
        begin = size < 126 ? 2 : 4;
    }
    memcpy(message + begin, record, size);
    if (is_sse) memcpy(message + begin + size, "\n\n", 2);
    size_t all = begin + size + (is_sse ? 2 : 0);
    for (int i = 0; i < tenants[tenant].count; i++)
        send(tenants[tenant].sockets[i], message, all, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void feed_readable(void) {
    ssize_t got = recv(feed_fd, line_bytes + line_length, sizeof line_bytes - line_length, 0);
    if (got <= 0) {
        close(feed_fd);
        feed_fd = -1;
        line_length = 0;
        return;
    }
    line_length += (size_t)got;
    char *line = line_bytes, *end;
    while ((end = memchr(line, '\n', line_length - (size_t)(line - line_bytes)))) {
        fan_out(line, (size_t)(end - line));
        line = end + 1;
    }
    line_length -= (size_t)(line - line_bytes);
    memmove(line_bytes, line, line_length);
}

int main(int count, char **words) {
    if (count != 4) fail("use: send_loop PORT FEED_PORT websocket|sse");
    alarm(MOST_SECONDS);
    epoll_fd = epoll_create1(0);
    is_sse = !strcmp(words[3], "sse");
    int clients = listen_at(atoi(words[1])), feeds = listen_at(atoi(words[2]));
    watch(clients);
    watch(feeds);
    for (;;) { /* until `alarm`, or until it is ended */
        struct epoll_event events[256];
        int number = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < number; i++) {
            int fd = events[i].data.fd, yes = 1;
            if (fd == clients || fd == feeds) {
                int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
                if (accepted < 0) continue;
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                if (fd == feeds) feed_fd = accepted;
                watch(accepted);
            } else if (fd == feed_fd) {
                feed_readable();
            } else {
                client_readable(fd);
            }
        }
    }
}
