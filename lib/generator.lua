-- Generators that run in threads of their own: what generator of lthread does.
local _thread, queue = ...

local generators = {}

-- What the thread runs: the function in a coroutine, whose values go into the queue. However it
-- ends, the queue is shut down behind the last value.
function generators._produce(values, f, ...)
  local co = coroutine.create(f)
  local _ <close> = setmetatable({}, { __close = function()
    coroutine.close(co)
    values:shutdown()
  end })
  local results = table.pack(coroutine.resume(co, ...))
  while results[1] and coroutine.status(co) == "suspended" do
    values:put(table.pack(table.unpack(results, 2, results.n)))
    results = table.pack(coroutine.resume(co))
  end
  if not results[1] then error(results[2], 0) end
end

local Generator = {}
Generator.__index = Generator

-- The next values; nothing at the end. What the function has raised comes behind its values.
function Generator:__call()
  if self.is_over then return nil end
  local message
  local ok, problem = pcall(function() message = self.values:get() end)
  if not ok then
    if not _thread.isinstance(problem, queue.ShutDown) then error(problem, 0) end
    self.is_over = true
    self.handle:result()
    return nil
  end
  if message[1] == nil then self:close() end
  return table.unpack(message, 1, message.n)
end

-- Ends the thread: no more values come.
function Generator:close()
  if self.is_over then return end
  self.is_over = true
  self.handle:interrupt()
  self.values:shutdown(true)
end

Generator.__close, Generator.__gc = Generator.close, Generator.close

--- See generator in lthread.c: the arguments are checked there.
function generators.generator(f, buffer, ...)
  local values = queue.Queue(buffer)
  local handle = _thread.start_joinable_thread(generators._produce, {
    args = table.pack(values, f, ...), report = false, name = "generator",
  })
  local self = setmetatable({ values = values, handle = handle }, Generator)
  return self, nil, nil, self
end

return generators
