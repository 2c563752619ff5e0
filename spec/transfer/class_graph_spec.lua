-- Graphs of objects with classes, on their way through several threads, while finalizers run.
local _thread = require "lthread"
local queue = require "lthread.queue"
local graphs = require "support.class_graphs"

local LONG = 300

-- A thread that hands on what it gets, as often as that says, and keeps some of it.
local function hand_on(own, all, seed)
  local queues = require "lthread.queue"
  math.randomseed(seed)
  local kept = {}
  local chance = math.random
  local function handle(message)
    kept[chance(10)] = chance(3) == 1 and message or nil
    if chance(10) == 1 then collectgarbage() end
    if chance(4) == 1 then -- a finalizer that brings back what is garbage, and sends it
      setmetatable({}, { __gc = function()
        local q = queues.SimpleQueue()
        q:put(message)
        q:get()
      end })
    end
    message.hops = message.hops - 1
    local to = message.hops > 0 and all[chance(#all)] or message.back
    to:put(message)
  end
  while true do
    local message = own:get(true, LONG)
    if message == "end" then return #kept end
    handle(message)
  end
end

local function with_threads(count, f)
  local queues, handles = {}, {}
  for i = 1, count do queues[i] = queue.SimpleQueue() end
  for i = 1, count do
    handles[i] = _thread.start_joinable_thread(hand_on,
      { args = { queues[i], queues, math.random(0) } })
  end
  local ok, e = pcall(f, queues)
  for i = 1, count do queues[i]:put "end" end
  for i = 1, count do handles[i]:result() end
  if not ok then error(e, 0) end
end

local function change(classes)
  local class = classes[math.random(#classes)]
  class[1]["field" .. math.random(5)] = math.random(3)
  if math.random(3) == 1 then class[1].constant = class[2](class[1], 5) end
end

-- Finalizers that send objects of the classes.
local function litter(classes)
  for _ = 1, math.random(5) do
    setmetatable({}, { __gc = function()
      local class, q = classes[math.random(#classes)], queue.SimpleQueue()
      q:put(math.random(2) == 1 and class[1] or class[2](class[1], 1))
      q:get()
    end })
  end
end

-- Returns the path to what came home otherwise than it was sent.
local function difference_after_journey(queues, classes, known)
  local nodes = graphs.new(classes, math.random(20))
  local message = { nodes = nodes, hops = math.random(6), back = queue.SimpleQueue() }
  litter(classes)
  if math.random(3) == 1 then change(classes) end
  if math.random(2) == 1 then
    message.get_classes = function() return classes end
  end
  queues[math.random(#queues)]:put(message)
  local home = message.back:get(true, LONG)
  for i, class in ipairs(home.get_classes and home.get_classes() or {}) do
    if class[1] ~= classes[i][1] then return "class " .. i .. " of the function" end
  end
  return graphs.difference(nodes, home.nodes, known)
end

describe("a graph of objects", function()
  it("comes home as it was, with its classes, from any threads", function()
    local seed = os.time()
    math.randomseed(seed)
    with_threads(3, function(queues)
      for _ = 1, 40 do
        local classes, known = graphs.classes(math.random(5))
        for _ = 1, 5 do
          local path = difference_after_journey(queues, classes, known)
          assert.is_nil(path, "seed " .. seed)
        end
      end
    end)
  end)
end)

describe("a class", function()
  it("is known by its __index also among many strings", function()
    local message = {}
    for i = 1, 40 do message[i] = { __index = i, name = "n" .. i } end
    local Class = {}
    Class.__index = Class
    message.list = { Class }
    local q = queue.SimpleQueue()
    q:put(message)
    assert.equal(Class, q:get().list[1])
  end)

  it("that a finalizer brings back is as good as a new one", function()
    local q = queue.SimpleQueue()
    local count = 0
    local function make_garbage()
      local Class, private = {}, {}
      Class.__index = Class
      function Class.get(self) return private[self] end
      local object = setmetatable({}, Class)
      private[object] = "kept"
      setmetatable({}, { __gc = function()
        for _ = 1, 2 do
          q:put(object)
          local back = q:get()
          if back:get() == "kept" and getmetatable(back) == getmetatable(object) then
            count = count + 1
          end
        end
      end })
      q:put(object)
      q:get()
      q:put(object)
      q:get()
    end
    for _ = 1, 50 do make_garbage() end
    collectgarbage()
    collectgarbage()
    assert.equal(100, count)
  end)
end)

describe("a class that comes twice at a time", function()
  it("is what it is at home, both times", function()
    local Class, Messenger, other = {}, {}, queue.SimpleQueue()
    Class.__index = Class
    other:put(setmetatable({}, Class))
    -- What makes the messenger gets an object of the class while another one is on its way.
    function Messenger.__transfer() return function() return { got = other:get() } end end
    local messenger = setmetatable({}, Messenger)
    local first, second = _thread.start_joinable_thread(function(object, made)
      return object, made.got
    end, { args = { setmetatable({}, Class), messenger } }):result()
    assert.equal(Class, getmetatable(first))
    assert.equal(Class, getmetatable(second))
  end)
end)
