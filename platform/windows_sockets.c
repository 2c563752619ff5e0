/*
** Windows: descriptors are sockets. An event is a datagram that a socket of ours has sent to
** itself.
*/
#include "platform/platform.h"

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include <windows.h>

#include <limits.h>
#include <stdlib.h>

#define POLL_MILLISECOND (PLAT_SECOND / 1000)
#define LONGEST_POLL ((plat_Time)INT_MAX)

static SOCKET socket_of(int descriptor) {
  return (SOCKET)(unsigned)descriptor;
}

static int start_winsock(void) {
  WSADATA data;
  return WSAStartup(MAKEWORD(2, 2), &data);
}

static int need_winsock(void) {
  static plat_Once once = PLAT_ONCE_INIT;
  return plat_once(&once, start_winsock);
}

/*
** Polling
*/

/* The number of a socket that is not open, or of something else, takes no part. */
static bool is_socket(int descriptor) {
  int type;
  int length = sizeof(type);
  return descriptor >= 0 &&
         getsockopt(socket_of(descriptor), SOL_SOCKET, SO_TYPE, (char *)&type, &length) == 0;
}

static void poll_from(WSAPOLLFD *native, const plat_Polled *polled) {
  native->fd = socket_of(polled->fd);
  native->events = 0;
  native->revents = 0;
  if (polled->events & PLAT_READABLE)
    native->events = POLLRDNORM;
  if (polled->events & PLAT_WRITABLE)
    native->events |= POLLWRNORM;
}

static short ready_of(const WSAPOLLFD *native) {
  short ready = 0;
  if (native->revents & POLLRDNORM)
    ready |= PLAT_READABLE;
  if (native->revents & POLLWRNORM)
    ready |= PLAT_WRITABLE;
  if (native->revents & (POLLERR | POLLHUP))
    ready |= PLAT_FAILED;
  if (native->revents & POLLNVAL)
    ready |= PLAT_NOT_OPEN;
  return ready;
}

static int poll_natives(WSAPOLLFD *natives, unsigned count, plat_Time deadline) {
  int ready;
  plat_Time left;
  do {
    left = 0;
    if (deadline != PLAT_FOREVER && deadline != PLAT_AT_ONCE)
      left = deadline - plat_now();
    left = left <= 0 ? 0 : (left - 1) / POLL_MILLISECOND + 1;
    int span = (int)(left < LONGEST_POLL ? left : LONGEST_POLL);
    ready = WSAPoll(natives, count, deadline == PLAT_FOREVER ? -1 : span);
  } while (ready == 0 && left > LONGEST_POLL);
  return ready;
}

static int poll_in(WSAPOLLFD *natives, plat_Polled *polled, unsigned count, plat_Time deadline) {
  int lost = 0;
  for (unsigned i = 0; i < count; i++) {
    polled[i].revents = 0;
    if (!is_socket(polled[i].fd)) {
      polled[i].revents = PLAT_NOT_OPEN;
      lost++;
    }
    poll_from(&natives[i], &polled[i]);
  }
  if (lost > 0)
    return lost;
  int ready = poll_natives(natives, count, deadline);
  for (unsigned i = 0; i < count; i++)
    polled[i].revents = ready < 0 ? PLAT_FAILED : ready_of(&natives[i]);
  return ready < 0 ? (int)count : ready;
}

/* What can't be polled is not waited for: whoever uses it is told why. */
int plat_poll_until(plat_Polled *polled, unsigned count, plat_Time deadline) {
  enum { FEW = 8 };
  WSAPOLLFD few[FEW];
  WSAPOLLFD *natives = count <= FEW ? few : malloc(count * sizeof(*natives));
  need_winsock();
  if (natives == NULL) {
    for (unsigned i = 0; i < count; i++)
      polled[i].revents = PLAT_FAILED;
    return (int)count;
  }
  int ready = poll_in(natives, polled, count, deadline);
  if (natives != few)
    free(natives);
  return ready;
}

/*
** Events
*/

/* Whatever else had come before it was connected is thrown away. */
static int make_own_peer(SOCKET event) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  int length = sizeof(address);
  u_long on = 1;
  char byte;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(event, (struct sockaddr *)&address, length) != 0 ||
      getsockname(event, (struct sockaddr *)&address, &length) != 0 ||
      connect(event, (struct sockaddr *)&address, length) != 0 ||
      ioctlsocket(event, (long)FIONBIO, &on) != 0)
    return WSAGetLastError();
  while (recv(event, &byte, 1, 0) >= 0)
    ;
  return 0;
}

int plat_event_open(plat_Event *event) {
  int error = need_winsock();
  if (error != 0)
    return error;
  SOCKET made = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                           WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (made == INVALID_SOCKET)
    return WSAGetLastError();
  error = make_own_peer(made);
  if (error != 0) {
    closesocket(made);
    return error;
  }
  event->readable = event->writable = (int)made;
  return 0;
}

void plat_event_close(plat_Event *event) {
  if (plat_event_is_open(event))
    closesocket(socket_of(event->readable));
  *event = (plat_Event)PLAT_NO_EVENT;
}

void plat_event_set(const plat_Event *event) {
  send(socket_of(event->writable), "", 1, 0);
}

/* What has been sent may still be on its way for a moment. */
bool plat_event_clear(const plat_Event *event) {
  char byte;
  WSAPOLLFD wait = {.fd = socket_of(event->readable), .events = POLLRDNORM};
  if (recv(wait.fd, &byte, 1, 0) > 0)
    return true;
  return WSAGetLastError() == WSAEWOULDBLOCK && WSAPoll(&wait, 1, 10) > 0 &&
         recv(wait.fd, &byte, 1, 0) > 0;
}

/* There is no fork. */
void plat_event_renew(plat_Event *event) {
  (void)event;
}

/*
** Copies
*/

int plat_descriptor_copy(int descriptor) {
  WSAPROTOCOL_INFOW protocol;
  SOCKET copy = INVALID_SOCKET;
  int error = need_winsock();
  if (error == 0 &&
      WSADuplicateSocketW(socket_of(descriptor), GetCurrentProcessId(), &protocol) == 0)
    copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &protocol, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
  if (copy != INVALID_SOCKET)
    return (int)copy;
  errno = error != 0 ? error : WSAGetLastError();
  return -1;
}

void plat_descriptor_close(int descriptor) {
  closesocket(socket_of(descriptor));
}
