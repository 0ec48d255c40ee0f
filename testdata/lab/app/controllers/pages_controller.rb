# Pages as turbo_stream_from renders them, with the unmodified npm bundle of turbo-rails.
class PagesController < ActionController::API
  BUNDLE = Rails.root.join("../npm/node_modules/@hotwired/turbo-rails/app/assets/javascripts/turbo.js")

  def show
    sources = named(:streams).map { |name| source(SignedStream.sign(name)) }
    sources += named(:forged).map { |name| source(SignedStream.sign(name).sub(/--.*/, "--#{"0" * 64}")) }
    render html: <<~HTML.html_safe
      <!DOCTYPE html>
      <html>
        <head><meta charset="utf-8"><title>#{ERB::Util.html_escape(params[:name])}</title><script type="module" src="/turbo.js"></script></head>
        <body>#{sources.join}<main id="messages"></main></body>
      </html>
    HTML
  end

  def turbo
    send_file BUNDLE, type: "text/javascript", disposition: "inline"
  end

  private
    def named(param)
      params[param].to_s.split
    end

    def source(signed_name)
      %(<turbo-cable-stream-source channel="Turbo::StreamsChannel" signed-stream-name="#{signed_name}"></turbo-cable-stream-source>)
    end
end
