-- A filter of pandoc for the documents: links lead to pages instead of Markdown, and a page whose
-- metadata has `indexed` ends with an index of the names that it defines in bold.

local entries = {}

-- **`name(...)`** at the beginning of a paragraph, or after others there, defines name.
local function define(strong)
  local code = strong.content[1]
  if not code or code.t ~= "Code" then return end
  local name = code.text:gsub("^local _ <close> = ", ""):gsub("^for .* in ", ""):match "^[%w_.:]+"
  if not name then return end
  local anchor = "index-" .. #entries + 1
  entries[#entries + 1] = { name = name, anchor = anchor }
  return pandoc.Span({ strong }, pandoc.Attr(anchor))
end

local function to_page(link)
  link.target = link.target:gsub("^([%w_/.]+)%.md", function(path)
    return path:match "^[%w_]+$" and path .. ".html"
  end)
  return link
end

-- By the last part of a name, which is what one looks for.
local function key(entry)
  return (entry.name:match "[%w]+[%w_]*$" or entry.name):lower() .. " " .. entry.name
end

local function add_index(document)
  if not document.meta.indexed then return end
  table.sort(entries, function(a, b) return key(a) < key(b) end)
  local items = {}
  for i, entry in ipairs(entries) do
    items[i] = { pandoc.Plain { pandoc.Link({ pandoc.Code(entry.name) }, "#" .. entry.anchor) } }
  end
  document.blocks:insert(pandoc.Header(2, "Index", pandoc.Attr "index"))
  document.blocks:insert(pandoc.BulletList(items))
  return document
end

-- What `apropos` looks for.
local function add_name(document)
  if FORMAT ~= "man" then return end
  document.blocks:insert(1, pandoc.Header(1, "Name"))
  document.blocks:insert(2, pandoc.Para
    "lthread - threads of the operating system for Lua, with the API of Python's _thread")
  return document
end

return { { Strong = define, Link = to_page }, { Pandoc = add_index }, { Pandoc = add_name } }
