# A page with notes that others add, as an application with Turbo has it: the page shows what is
# stored, and a broadcast appends what is new.
class BoardsController < ActionController::Base
  LOG = EventLog.new(ENV["LAB_BOARD"])

  BOARD = <<~ERB
    <% turbo_refreshes_with(method: :morph, scroll: :preserve) unless params[:morph] == "false" %>
    <!DOCTYPE html>
    <html>
      <head><meta charset="utf-8"><title>Board</title><%= content_for :head %><script type="module" src="/turbo.js"></script></head>
      <body>
        <%= turbo_stream_from "board", channel: channel %>
        <%= turbo_stream_from "board", "more", channel: channel %>
        <form id="form" data-turbo-permanent><textarea id="draft"></textarea></form>
        <form id="new" action="/notes" method="post">
          <input type="hidden" name="from" value="<%= request.fullpath %>"><input id="note" name="note"><button id="send">Add</button>
        </form>
        <form id="other">
          <textarea id="text"></textarea><input id="checked" type="checkbox"><select id="chosen"><option>a</option><option>b</option></select>
        </form>
        <a id="elsewhere" href="/boards/elsewhere">Elsewhere</a>
        <ul id="notes"><% notes.each do |note| %><%= note_tag note %><% end %></ul>
      </body>
    </html>
  ERB

  helper_method :notes, :note_tag, :channel

  def show
    LOG.add load: true
    render inline: BOARD, content_type: "text/html" # not that of a turbo-stream, which Turbo prefers after a form
  end

  def loads
    render plain: LOG.to_a.count { |entry| entry["load"] }
  end

  def create
    note = params[:note].to_s
    LOG.add note: note
    ActionCable.server.broadcast "board",
      %(<turbo-stream action="append" target="notes"><template>#{note_tag note}</template></turbo-stream>)
    params[:from] ? redirect_to(params[:from], status: :see_other) : head(:no_content)
  end

  private
    def channel
      params.fetch(:channel, "Turbo::StreamsChannel")
    end

    def notes
      LOG.to_a.filter_map { |entry| entry["note"] }
    end

    # Turbo shows an element that has an id once, however often it is appended.
    def note_tag(note)
      helpers.tag.li note, id: "note-#{note}", class: "note"
    end
end
