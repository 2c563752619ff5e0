-- Counts the words in every text file under a folder, with all processors.
--
--     lua5.4 examples/wordcount.lua [DIR] [THREADS]

local _thread = require "lthread"

local on_terminal = os.execute "test -t 2"

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

-- Every thread runs this function, in a Lua state of its own. The tables it is given are copies;
-- the locks in them are the same for all. Whoever gets a file's `taken` lock counts that file.
local function count_words(files)
  local counts = {}
  for _, file in ipairs(files) do
    if file.taken:acquire(false) then
      for word in read(file.path):lower():gmatch "[%a\128-\255]+" do
        counts[word] = (counts[word] or 0) + 1
      end
      file.counted:acquire()
    end
  end
  return counts
end

local function show_progress(threads, files, started, ending)
  if not on_terminal then return end
  local done, bytes, seconds = 0, 0, _thread.monotonic() - started
  for _, file in ipairs(files) do
    if file.counted:locked() then
      done, bytes = done + 1, bytes + file.size
    end
  end
  local filled = 24 * bytes // files.size
  io.stderr:write(("threads: %d [%s%s] %d/%d files  %.1f MB  %.1f MB/s\27[K%s"):format(
    threads, ("#"):rep(filled), ("-"):rep(24 - filled),
    done, #files, bytes / 1e6, bytes / 1e6 / seconds, ending))
end

local function count_with(threads, files)
  for _, file in ipairs(files) do
    file.taken, file.counted = _thread.allocate_lock(), _thread.allocate_lock()
  end

  local started, workers, totals = _thread.monotonic(), {}, {}
  for i = 1, threads do
    workers[i] = _thread.start_joinable_thread(count_words, {args = {files}})
  end
  for _, worker in ipairs(workers) do
    while not worker:join(0.1) do
      show_progress(threads, files, started, "\r")
    end
    for word, count in pairs(worker:result()) do
      totals[word] = (totals[word] or 0) + count
    end
  end
  local seconds = _thread.monotonic() - started
  show_progress(threads, files, started, "\n")
  return totals, seconds
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

-- The largest come first, so that no thread is left with a long one at the end.
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

local alone, seconds_alone = count_with(1, files)
local together, seconds_together = count_with(threads, files)
if not (contains(alone, together) and contains(together, alone)) then
  fail "the two runs counted differently"
end

show_most_frequent(together)
print(("one thread took %.2f s, all %d took %.2f s: speed-up %.2f"):format(
  seconds_alone, threads, seconds_together, seconds_alone / seconds_together))
