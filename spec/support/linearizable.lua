-- Whether a history of concurrent operations can be put in an order, one after the other, in which
-- each has the result that was recorded and none comes before one that had ended before it began.
--
-- A search by Wing and Gong: of the operations that may come first, each is tried that fits the
-- state so far; what was tried in vain is remembered, as the set of operations done and the state.
--
-- An operation is {thread =, begin =, finish =, ...}; those of one thread are in order.
-- apply(state, operation) returns whether the operation fits the state, and the state after it: a
-- string, a number or nil.
return function(operations, initial, apply)
  local threads, numbers = {}, {}
  for _, operation in ipairs(operations) do
    local list = threads[operation.thread]
    if not list then
      list = {}
      threads[operation.thread] = list
      numbers[#numbers + 1] = operation.thread
    end
    list[#list + 1] = operation
  end
  local done, tried, left = {}, {}, #operations
  for _, number in ipairs(numbers) do done[number] = 0 end

  local function key(state)
    local parts = {}
    for i, number in ipairs(numbers) do parts[i] = done[number] end
    return table.concat(parts, ",") .. "|" .. tostring(state)
  end

  -- The earliest end of the operations that are next: none that begins later may come first.
  local function first_finish()
    local earliest = math.huge
    for _, number in ipairs(numbers) do
      local operation = threads[number][done[number] + 1]
      if operation then earliest = math.min(earliest, operation.finish) end
    end
    return earliest
  end

  local function search(state)
    if left == 0 then return true end
    local here = key(state)
    if tried[here] then return false end
    tried[here] = true
    local bound = first_finish()
    for _, number in ipairs(numbers) do
      local operation = threads[number][done[number] + 1]
      if operation and operation.begin <= bound then
        local fits, after = apply(state, operation)
        if fits then
          done[number], left = done[number] + 1, left - 1
          if search(after) then return true end
          done[number], left = done[number] - 1, left + 1
        end
      end
    end
    return false
  end

  return search(initial)
end
