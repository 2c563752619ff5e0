/*
** A module whose functions wait in libraries of others, and let an interrupt of their thread end that:
** a statement of SQLite, a transfer of libcurl, a loop of luv. examples/blocking.lua uses it.
**
**     cc -shared -fPIC -o blocking.so examples/blocking.c $(pkg-config --cflags --libs lua5.4 sqlite3 libcurl libuv)
**
** It needs lthread.h, but not the library, and works without lthread.
*/
#define _POSIX_C_SOURCE 200809L /* uv.h wants it */

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include <curl/curl.h>
#include <sqlite3.h>
#include <uv.h>

#include "lthread.h"

LTHREAD_API int luaopen_blocking(lua_State *L);

/*
** SQLite
*/

typedef struct Query {
  sqlite3 *connection;
  sqlite3_stmt *statement;
} Query;

static int close_query(lua_State *L) {
  Query *query = (Query *)luaL_checkudata(L, 1, "blocking.query");
  sqlite3_finalize(query->statement);
  sqlite3_close(query->connection);
  query->statement = NULL;
  query->connection = NULL;
  return 0;
}

/* An object, all zero, that is closed when its function ends, in whatever way. */
static void *push_object(lua_State *L, const char *type, size_t size, lua_CFunction close) {
  void *object = lua_newuserdatauv(L, size, 0);
  memset(object, 0, size);
  if (luaL_newmetatable(L, type)) {
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return object;
}

static void wake_query(void *connection) {
  sqlite3_interrupt((sqlite3 *)connection);
}

/* Whether there is one more row; 0 also where the thread is about to raise an exception. */
static int step(lua_State *L, const Query *query, int *interrupted) {
  lthread_Section section;
  int status = SQLITE_INTERRUPT;
  if (!lthread_blocking_begin(L, &section, "sqlite3_step", wake_query, query->connection))
    status = sqlite3_step(query->statement);
  *interrupted = lthread_blocking_end(L, &section);
  if (*interrupted)
    return 0;
  if (status != SQLITE_ROW && status != SQLITE_DONE)
    return luaL_error(L, "%s", sqlite3_errmsg(query->connection));
  return status == SQLITE_ROW;
}

/* query(path, sql) -> the first column of all rows, as a list of strings, nil for NULL */
static int query(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const char *sql = luaL_checkstring(L, 2);
  int interrupted = 0;
  Query *new_query = (Query *)push_object(L, "blocking.query", sizeof(Query), close_query);
  if (sqlite3_open(path, &new_query->connection) != SQLITE_OK ||
      sqlite3_prepare_v2(new_query->connection, sql, -1, &new_query->statement, NULL) != SQLITE_OK)
    return luaL_error(L, "%s", sqlite3_errmsg(new_query->connection));
  lua_newtable(L);
  for (lua_Integer row = 1; step(L, new_query, &interrupted); row++) {
    lua_pushstring(L, (const char *)sqlite3_column_text(new_query->statement, 0));
    lua_rawseti(L, -2, row);
  }
  return interrupted ? 0 : 1;
}

/*
** libcurl
*/

typedef struct Fetch {
  CURLM *multi;
  CURL *easy;
  char *body;
  size_t length;
} Fetch;

static int close_fetch(lua_State *L) {
  Fetch *fetch = (Fetch *)luaL_checkudata(L, 1, "blocking.fetch");
  if (fetch->easy != NULL && fetch->multi != NULL)
    curl_multi_remove_handle(fetch->multi, fetch->easy);
  curl_easy_cleanup(fetch->easy);
  curl_multi_cleanup(fetch->multi);
  free(fetch->body);
  fetch->easy = NULL;
  fetch->multi = NULL;
  fetch->body = NULL;
  return 0;
}

static void wake_fetch(void *multi) {
  curl_multi_wakeup((CURLM *)multi);
}

static size_t keep_body(char *bytes, size_t one, size_t length, void *context) {
  Fetch *fetch = (Fetch *)context;
  char *body = (char *)realloc(fetch->body, fetch->length + length + 1);
  (void)one;
  if (body == NULL)
    return 0;
  memcpy(body + fetch->length, bytes, length);
  fetch->body = body;
  fetch->length += length;
  return length;
}

/* Until the transfer has ended, or the thread is about to raise an exception. */
static CURLMcode transfer(lua_State *L, const Fetch *fetch, int *interrupted) {
  lthread_Section section;
  CURLMcode status = CURLM_OK;
  int running = 1;
  while (status == CURLM_OK && running && !*interrupted) {
    if (!lthread_blocking_begin(L, &section, "curl_multi_poll", wake_fetch, fetch->multi)) {
      status = curl_multi_perform(fetch->multi, &running);
      if (status == CURLM_OK && running)
        status = curl_multi_poll(fetch->multi, NULL, 0, 60000, NULL);
    }
    *interrupted = lthread_blocking_end(L, &section);
  }
  return status;
}

/* fetch(url) -> the body, a string */
static int fetch(lua_State *L) {
  const char *url = luaL_checkstring(L, 1);
  int interrupted = 0, left;
  Fetch *new_fetch = (Fetch *)push_object(L, "blocking.fetch", sizeof(Fetch), close_fetch);
  new_fetch->multi = curl_multi_init();
  new_fetch->easy = curl_easy_init();
  if (new_fetch->multi == NULL || new_fetch->easy == NULL)
    return luaL_error(L, "libcurl can't be initialized");
  curl_easy_setopt(new_fetch->easy, CURLOPT_URL, url);
  curl_easy_setopt(new_fetch->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(new_fetch->easy, CURLOPT_WRITEFUNCTION, keep_body);
  curl_easy_setopt(new_fetch->easy, CURLOPT_WRITEDATA, new_fetch);
  curl_multi_add_handle(new_fetch->multi, new_fetch->easy);
  CURLMcode status = transfer(L, new_fetch, &interrupted);
  if (interrupted)
    return 0;
  if (status != CURLM_OK)
    return luaL_error(L, "%s", curl_multi_strerror(status));
  const CURLMsg *message = curl_multi_info_read(new_fetch->multi, &left);
  if (message != NULL && message->data.result != CURLE_OK)
    return luaL_error(L, "%s: %s", url, curl_easy_strerror(message->data.result));
  lua_pushlstring(L, new_fetch->body == NULL ? "" : new_fetch->body, new_fetch->length);
  return 1;
}

/*
** luv
*/

static void wake_loop(void *async) {
  uv_async_send((uv_async_t *)async);
}

/*
** run(uv.run, async): runs the loop of luv, which the async, uv.new_async(function() end), wakes. Its
** callback is code in Lua, before whose first instruction lthread stops the loop.
*/
static int run(lua_State *L) {
  lthread_Section section;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  uv_async_t *async = *(uv_async_t **)luaL_checkudata(L, 2, "uv_async"); /* as luv keeps it */
  lua_settop(L, 2);
  if (!lthread_blocking_begin(L, &section, "uv_run", wake_loop, async)) {
    lua_pushvalue(L, 1);
    lua_call(L, 0, 0);
  }
  lthread_blocking_end(L, &section);
  return 0;
}

int luaopen_blocking(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"query", query}, {"fetch", fetch}, {"run", run}, {NULL, NULL}};
  curl_global_init(CURL_GLOBAL_DEFAULT);
  luaL_newlib(L, functions);
  return 1;
}
