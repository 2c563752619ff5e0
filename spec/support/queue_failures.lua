-- Runs under spec/support/failing.c: messages are put and got with each allocation failing in turn.
-- However that ends, each message is given, or still in the queue, or counted as done.
local _thread = require "lthread"
local queue = require "lthread.queue"
local failing = require "failing"
local threads = require "support.threads"

local COUNT = 5
local failures = 0

-- Each is a priority, too.
local kinds = {
  integer = function(i) return i end,
  ["short string"] = function(i) return "short " .. i end,
  ["medium string"] = function(i) return ("medium"):rep(10) .. i end,
  ["long string"] = function(i) return ("long"):rep(2000) .. i end,
  table = function(i) return { i, { "nested " .. i } } end,
  object = function(i) return { i, _thread.allocate_lock() } end,
}

local function check_rest(q, given)
  local left = q:qsize()
  for _ = 1, left do q:get() end
  for _ = 1, given + left do q:task_done() end
  assert(q:join(0), "not all is done")
  assert(not pcall(q.task_done, q), "more is done than was put")
  return left
end

local function try(what, fill, operation)
  for _, how in ipairs { "once", "on" } do
    local n = 0
    repeat
      n = n + 1
      local q = fill()
      collectgarbage()
      local failed, ok, given = failing(how, n, operation, q)
      assert(ok or failed > 0 and tostring(given):find("memory", 1, true), what .. tostring(given))
      failures = failures + failed
      local fine, message = pcall(check_rest, q, ok and given or 0)
      assert(fine, ("%s, allocation %d, %s: %s"):format(what, n, how, message))
    until failed == 0
  end
end

for _, class in ipairs { queue.Queue, queue.LifoQueue, queue.PriorityQueue } do
  for kind, make in pairs(kinds) do
    local function filled()
      local q = class()
      for i = 1, COUNT do q:put(make(i)) end
      return q
    end
    local what = class.__name__ .. ", " .. kind .. ", "
    try(what .. "get", filled, function(q) q:get() return 1 end)
    try(what .. "try_get", filled, function(q) return q:try_get() and 1 end)
    try(what .. "select", filled, function(q)
      return select(2, queue.select { queue.Queue(), q }) ~= nil and 1
    end)
    try(what .. "wait_any and fileno", filled, function(q)
      q:fileno()
      return _thread.wait_any { queue.Queue(), q } == q and 0
    end)
    try(what .. "each", filled, function(q)
      for i in q:each() do
        if i > 0 then return 1 end
      end
    end)
    try(what .. "each with task_done", filled, function(q)
      local begun = 0
      for _ in q:each { task_done = true } do
        begun = begun + 1
        if begun == 2 then break end
      end
      return 0
    end)
    try(what .. "get_many of all", filled, function(q) return q:get_many().n end)
    try(what .. "get_many", filled, function(q) return q:get_many(COUNT - 1).n end)
    try(what .. "put", class, function(q) q:put(make(1)) return 0 end)
    try(what .. "put, bounded", function() return class(COUNT) end, function(q)
      q:put(make(1))
      return 0
    end)
    try(what .. "put_many", filled, function(q)
      local many = {}
      for i = 1, COUNT do many[i] = make(i) end
      q:put_many(many)
      return 0
    end)
  end
end

-- The one who is woken has no memory to take the message: another one gets it.
for _ = 1, 20 do
  local q = queue.Queue()
  local first = threads.start(function() return failing("on", 1, q.get_many, q, COUNT) end)
  assert(threads.await_blocked(first.ident))
  local second = threads.start(function() return q:get() end)
  assert(threads.await_blocked(second.ident))
  q:put "message"
  assert(second:join(60), "the message was there, and nobody was woken")
  assert(second:result() == "message")
  local failed, ok = first:result()
  assert(failed > 0 and not ok)
end

assert(failures > 200, failures)
print "passed"
