-- Counts the words in every text file under a folder, with all processors.
--
--     lua5.4 examples/wordcount.lua [DIR] [THREADS]

local _thread = require "lthread"
local futures = require "lthread.futures"

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

local progress = _thread.shared {bytes = 0}

-- What one task does, in a thread of the pool: the words of some files.
local function count_words(files)
  local counts = {}
  for _, file in ipairs(files) do
    for word in read(file.path):lower():gmatch "[%a\128-\255]+" do
      counts[word] = (counts[word] or 0) + 1
    end
    _thread.add(progress, "bytes", file.size)
  end
  return counts
end

-- How wide the terminal is; nil where the bar would go into a file.
local function find_width()
  if not os.execute "test -t 2" then return nil end
  local stty <close> = io.popen "stty size </dev/tty 2>/dev/null"
  return tonumber(stty:read "a":match "%d+ (%d+)") or 80
end

local width = find_width()

local function show_progress(threads, all, started, ending)
  if not width then return end
  local bytes, seconds = progress.bytes, math.max(_thread.monotonic() - started, 0.001)
  local figures = ("%d threads  %.1f MB  %.1f MB/s"):format(threads, bytes / 1e6,
    bytes / 1e6 / seconds)
  local room = math.max(width - #figures - 4, 1)
  local filled = room * bytes // all
  io.stderr:write(("\r[%s%s] %s\27[K%s"):format(("#"):rep(filled), ("-"):rep(room - filled),
    figures, ending))
end

-- Counts the files in all batches; returns the counts, and the seconds.
local function count_with(threads, batches)
  local pool <close> = futures.ThreadPoolExecutor(threads)
  local started, tasks, totals = _thread.monotonic(), {}, {}
  progress.bytes = 0
  for i, batch in ipairs(batches) do tasks[i] = pool:submit(count_words, batch) end
  repeat
    show_progress(threads, batches.size, started, "")
    local _, left = futures.wait(tasks, 0.1)
  until #left == 0
  for _, task in ipairs(tasks) do
    for word, count in pairs(task:result()) do totals[word] = (totals[word] or 0) + count end
  end
  show_progress(threads, batches.size, started, "\n")
  return totals, _thread.monotonic() - started
end

local function fail(message)
  io.stderr:write("wordcount: ", message, "\n")
  os.exit(false)
end

local function quoted(path)
  return "'" .. path:gsub("^%-", "./-"):gsub("'", "'\\''") .. "'"
end

local function is_folder(path)
  return os.execute("test -d " .. quoted(path))
end

local function default_folders()
  if is_folder "/usr/share/doc" then
    return {"/usr/share/common-licenses", "/usr/share/doc"}
  end
  return {(arg[0]:match "^.*/" or "./") .. ".."}
end

local function find_text_files(folders)
  local files = {size = 0}
  for _, folder in ipairs(folders) do
    local find <close> = io.popen("find -H " .. quoted(folder) .. " -type f -print0 2>/dev/null")
    for path in find:read "a":gmatch "[^\0]+" do
      local text = read(path)
      if #text > 0 and not text:find("\0", 1, true) then
        files[#files + 1] = {path = path, size = #text}
        files.size = files.size + #text
      end
    end
  end
  table.sort(files, function(a, b) return a.size > b.size end)
  return files
end

-- Four batches for each thread, the files, so many times over, dealt out to them in turn, the
-- largest first.
local function batches_of(files, threads, rounds)
  local batches = {size = files.size * rounds}
  for i = 1, 4 * threads do batches[i] = {} end
  for i = 0, #files * rounds - 1 do
    local batch = batches[i % #batches + 1]
    batch[#batch + 1] = files[i // rounds + 1]
  end
  return batches
end

local function show_most_frequent(counts)
  local words = {}
  for word in pairs(counts) do
    words[#words + 1] = word
  end
  table.sort(words, function(a, b)
    return counts[a] > counts[b] or counts[a] == counts[b] and a < b
  end)
  for rank = 1, math.min(20, #words) do
    print(("%4d  %-20s %9d"):format(rank, words[rank], counts[words[rank]]))
  end
end

local function contains(counts, others)
  for word, count in pairs(others) do
    if counts[word] ~= count then return false end
  end
  return true
end

local threads = math.tointeger(tonumber(arg[2] or _thread.cpu_count()))
if not threads or threads < 1 then
  fail("THREADS must be a positive integer, not '" .. arg[2] .. "'")
end
if arg[1] and not is_folder(arg[1]) then
  fail("no such folder: " .. arg[1])
end

local folders = arg[1] and {arg[1]} or default_folders()
local files = find_text_files(folders)
if #files == 0 then
  fail("no text files in " .. table.concat(folders, ", "))
end
print(("%d text files, %.1f MB, in %s"):format(
  #files, files.size / 1e6, table.concat(folders, ", ")))

-- As often as it takes for a second, so that the figures mean something.
local rounds = 1
local alone, seconds_alone = count_with(1, batches_of(files, threads, rounds))
if seconds_alone < 1 then
  rounds = math.ceil(1.2 / seconds_alone)
  alone, seconds_alone = count_with(1, batches_of(files, threads, rounds))
end
local together, seconds_together = count_with(threads, batches_of(files, threads, rounds))
if not (contains(alone, together) and contains(together, alone)) then
  fail "the two runs counted differently"
end

show_most_frequent(together)
print(("counted %d times: one thread took %.2f s, %d took %.2f s: speed-up %.2f"):format(
  rounds, seconds_alone, threads, seconds_together, seconds_alone / seconds_together))
