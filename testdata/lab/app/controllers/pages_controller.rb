# Pages as turbo_stream_from renders them, with the unmodified npm bundle of turbo-rails.
class PagesController < ActionController::API
  BUNDLE = Rails.root.join("../npm/node_modules/@hotwired/turbo-rails/app/assets/javascripts/turbo.js")

  def show
    sources = named(:streams).map { |name| source(SignedStream.sign(name)) }
    sources += named(:forged).map { |name| source(SignedStream.sign(name).sub(/--.*/, "--#{"0" * 64}")) }
    render html: <<~HTML.html_safe
      <!DOCTYPE html>
      <html>
        <head><meta charset="utf-8"><title>#{ERB::Util.html_escape(params[:name])}</title>#{scripts}</head>
        <body>#{sources.join}<main id="messages"></main>#{form if params[:others]}</body>
      </html>
    HTML
  end

  # Appends to the pages with the stream "posts", except the one that posts.
  def post
    html = %(<p class="message">#{ERB::Util.html_escape(params[:text])}</p>)
    Catenary.except(request) do
      ActionCable.server.broadcast "posts", %(<turbo-stream action="append" target="messages"><template>#{html}</template></turbo-stream>)
    end
    head :no_content
  end

  # Serves page.js as docs/others.md shows it.
  def page
    render plain: documented("page.js"), content_type: "text/javascript"
  end

  def turbo
    send_file BUNDLE, type: "text/javascript", disposition: "inline"
  end

  private
    def named(param)
      params[param].to_s.split
    end

    def scripts
      return %(<script type="module" src="/turbo.js"></script>) unless params[:others]
      imports = { "page" => "/page.js", "@hotwired/turbo-rails" => "/turbo.js" }
      %(<script type="importmap">#{{ imports: imports }.to_json}</script><script type="module">#{documented("application.js")}</script>)
    end

    def documented(file)
      Rails.root.join("../../docs/others.md").read[%r{```js\n// app/javascript/#{Regexp.escape(file)}\n(.*?)```}m, 1]
    end

    def form
      %(<form action="/pages/post" method="post"><input name="text" value="mine"><button id="post">Post</button></form>)
    end

    def source(signed_name)
      %(<turbo-cable-stream-source channel="Turbo::StreamsChannel" signed-stream-name="#{signed_name}"></turbo-cable-stream-source>)
    end
end
