local _thread = require "lthread"
local queue = require "lthread.queue"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- The variables of an annotation file: the fields of each, and its functions with their parameters.
local function annotations(path)
  local variables, fields = {}, {}
  for line in read(path):gmatch "[^\n]*" do
    if line:find "^%-%-%-@class" then fields = {} end
    local field = line:match "^%-%-%-@field ([%a_][%w_]*)"
    if field then fields[field] = true end
    local variable = line:match "^local ([%a_][%w_]*) = {}$"
    if variable then variables[variable] = { fields = fields, functions = {} } end
    local owner, name, parameters = line:match "^function ([%a_][%w_]*)[.:]([%w_]+)%((.-)%) end$"
    if owner then variables[owner].functions[name] = parameters end
    local same, alias, original = line:match "^([%a_][%w_]*)%.([%w_]+) = [%w_]+%.([%w_]+)$"
    if same then variables[same].functions[alias] = variables[same].functions[original] end
  end
  return variables
end

local function sorted_names(...)
  local names = {}
  for _, t in ipairs { ... } do
    for name in pairs(t) do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local of_lthread = annotations "library/lthread.lua"
local of_queue = annotations "library/lthread/queue.lua"
local of_threading = annotations "library/lthread/threading.lua"
local of_futures = annotations "library/lthread/futures.lua"

-- Without what begins with an underscore, which is the module's own, but for Python's.
local function public(module)
  local names = {}
  for name, value in pairs(module) do
    if name:sub(1, 1) ~= "_" or name == "_register_atexit" then names[name] = value end
  end
  return names
end

describe("the annotations for editors", function()
  local modules = {
    ["library/lthread.lua"] = { "_thread", _thread },
    ["library/lthread/queue.lua"] = { "queue", queue },
    ["library/lthread/threading.lua"] = { "threading", public(require "lthread.threading") },
    ["library/lthread/futures.lua"] = { "futures", public(require "lthread.futures") },
  }
  for path, named in pairs(modules) do
    local name, module = table.unpack(named)
    it("are Lua: " .. path, function()
      assert.is_function(assert(loadfile(path)))
    end)

    it("name what the module has, and nothing else: " .. path, function()
      local annotated = annotations(path)[name]
      assert.same(sorted_names(module), sorted_names(annotated.fields, annotated.functions))
    end)
  end

  local objects = {
    handle = _thread._ThreadHandle(), lock = _thread.allocate_lock(), rlock = _thread.RLock(),
    event = _thread.Event(), semaphore = _thread.Semaphore(), condition = _thread.Condition(),
    barrier = _thread.Barrier(1), exception_class = _thread.ValueError,
  }
  for name, object in pairs(objects) do
    it("name the methods of the " .. name, function()
      local annotated, methods = of_lthread[name], debug.getmetatable(object).methods
      assert.same(sorted_names(methods), sorted_names(annotated.functions))
      for field in pairs(annotated.fields) do
        assert.is_true(object[field] ~= nil or field == "native_id", field)
      end
    end)
  end

  it("name the methods of futures, executors and threads", function()
    local futures, threading = require "lthread.futures", require "lthread.threading"
    assert.same(sorted_names(debug.getmetatable(futures.Future()).methods),
      sorted_names(of_futures.future.functions))
    for class, annotated in pairs {
      [futures.ThreadPoolExecutor] = of_futures.executor, [threading.Thread] = of_threading.thread,
      [threading.Timer] = of_threading.timer,
    } do
      local methods = {}
      for name in pairs(class) do
        if name:sub(1, 1) ~= "_" then methods[name] = true end
      end
      assert.same(sorted_names(methods), sorted_names(annotated.functions))
    end
  end)

  it("name the methods of queues", function()
    local simple, bounded = of_queue.simple.functions, of_queue.bounded.functions
    local function methods(object) return sorted_names(debug.getmetatable(object).methods) end
    assert.same(methods(queue.SimpleQueue()), sorted_names(simple))
    assert.same(methods(queue.Queue()), sorted_names(simple, bounded))
    for field in pairs(of_queue.bounded.fields) do
      assert.is_not_nil(queue.Queue()[field], field)
    end
  end)

  -- The positional parameters of a signature as the reference writes it: a, b from "a [, b = 1]".
  local function parameters_of(signature)
    local names = {}
    for part in signature:gsub("[%[%]]", ""):gsub("%b{}", "{}"):gmatch "[^,]+" do
      names[#names + 1] = part:match "^%s*([%w_.{]+)"
    end
    return names
  end

  local function agree(documented, annotated)
    for i, name in ipairs(documented) do
      if name ~= "{" and name ~= annotated[i] then return false end
    end
    return #documented == #annotated
  end

  -- The function that the reference means by lock:acquire or copy.
  local function find(owner, name)
    if owner == "queue" then
      return of_queue.simple.functions[name] or of_queue.bounded.functions[name]
    end
    local names = { [""] = "_thread", class = "exception_class" }
    local variable = of_lthread[names[owner] or owner] or of_threading[owner] or of_futures[owner]
    return variable and variable.functions[name]
  end

  it("have the parameters that the reference has", function()
    local checked = 0
    for line in read "doc/reference.md":gmatch "[^\n]+" do
      for owner, name, signature in line:gmatch "%*%*`([%w_]*)[.:]?([%w_]+)(%b())`%*%*" do
        local annotated = find(owner, name)
        if annotated and signature ~= "(...)" and not signature:find "{.*=.*}%)$" then
          local documented = parameters_of(signature:sub(2, -2))
          assert.is_true(agree(documented, parameters_of(annotated)),
            ("%s%s is (%s) in the annotations"):format(name, signature, annotated))
          checked = checked + 1
        end
      end
    end
    assert.is_true(checked > 40, checked .. " signatures found")
  end)
end)
